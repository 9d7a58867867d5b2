"""A picture that a describer has no words for: its own failure among many, an error alone."""

from __future__ import annotations

import csv

import pytest
from batch_runs import draw
from chat_server import ChatServer, chat_serving, says, writes
from describers_saying import MICRO, Saying, Tagging, picture
from unrender.core.batch import Batch, sink_named, source_named
from unrender.core.describe import Description
from unrender.core.engine import Engine, Settings
from unrender.core.errors import ModelError, UndescribedError
from unrender.core.settings import CaptionSettings, EndpointSettings


class Refusing(Saying):
    """Has no words for blue pictures."""

    certain = False

    def describe_seen(self, seen, settings=None, progress=None):
        failure = UndescribedError(f"{self.name} refuses", certain=self.certain)
        found = super().describe_seen(seen, settings, progress)
        return [
            Description("", failure=failure) if of == "blue" else each for of, each in zip(seen, found, strict=True)
        ]


class Silent(Saying):
    def describe_seen(self, seen, settings=None, progress=None):
        return [Description("" if of == "blue" else "a red circle") for of in seen]


COLOURS = ("red", "blue", "red", "blue", "blue", "red")


@pytest.fixture
def folder(tmp_path):
    for number, colour in enumerate(COLOURS):
        picture(colour).save(tmp_path / f"{number}.png")
    return tmp_path


def engine(*describers, **values):
    known = {each.name: each for each in describers}
    values = {**MICRO, "captioner": describers[0].name, **values}
    return Engine(Settings(**values), load_describer=lambda name, _: known[name])


def done(engine, folder, mode="caption", output="csv", **more):
    batch = Batch(engine, source_named([str(folder)], recursive=True), sink_named(output, folder), mode, **more)
    return batch, {outcome.name: outcome for outcome in batch}


@pytest.mark.parametrize("columns", [(), ("embedding",)])
@pytest.mark.parametrize("kind, mode", [(Refusing, "caption"), (Refusing, "best"), (Silent, "caption")])
def test_others_are_described(folder, kind, columns, mode):
    sink = sink_named("jsonl", folder, columns=columns) if columns else sink_named("csv", folder)
    batch = Batch(engine(kind("words", [])), source_named([str(folder)], recursive=True), sink, mode)
    found = {outcome.name: outcome for outcome in batch}
    refused = {f"{number}.png" for number, colour in enumerate(COLOURS) if colour == "blue"}
    assert {name for name, outcome in found.items() if outcome.result is None} == refused
    assert (batch.written, batch.failed) == (3, 3)
    assert all("red" in each.result.caption for each in found.values() if each.result is not None)
    with (folder / "errors.csv").open(newline="") as file:
        assert {row["image"] for row in csv.DictReader(file)} == refused


def test_all_may_be_refused(folder):
    for path in folder.glob("*.png"):
        picture("blue").save(path)
    batch, found = done(engine(Refusing("words", [])), folder)
    assert batch.failed == len(found) == len(COLOURS) and batch.written == 0


def test_a_refused_picture_alone_is_an_error():
    asked = engine(Refusing("words", []))
    for ask in (
        lambda: asked.interrogate(picture("blue"), "caption"),
        lambda: asked.interrogate_together([picture(), picture("blue")], "best"),
        lambda: list(asked.interrogate_each([picture(), picture("blue")], "best")),
        lambda: asked.describe([picture(), picture("blue")]),
        lambda: Refusing("words", []).caption([picture("blue")]),
    ):
        with pytest.raises(UndescribedError, match="words refuses"):
            ask()
    with pytest.raises(UndescribedError, match="words has no words"):
        engine(Silent("words", [])).interrogate(picture("blue"), "caption")


def test_a_rival_may_stand_in():
    asked = engine(Refusing("words", []), Saying("rival", []), rivals=("rival",))
    found = asked.interrogate(picture("blue"), "caption")
    assert found.caption == "a blue circle" and [each.describer for each in found.contenders] == ["rival"]


def test_tags_that_are_missing_are_missed(folder):
    class NoTags(Refusing, Tagging):
        pass

    batch, found = done(engine(Saying("words", []), NoTags("tags", []), tagger="tags"), folder, "tags")
    assert batch.written == 3 and all(found[f"{each}.png"].result is None for each in (1, 3, 4))


@pytest.mark.parametrize("certain", [True, False])
def test_a_describer_without_words_for_any_is_soon_left(tmp_path, certain):
    folder = draw(tmp_path / "pictures", 40)
    log = []

    class Never(Saying):
        def describe_seen(self, seen, settings=None, progress=None):
            log.extend(seen)
            return [Description("", failure=UndescribedError("nothing", certain=certain)) for _ in seen]

    if certain:
        batch, _ = done(engine(Never("words", [])), folder)
        assert batch.failed == 40
        return
    with pytest.raises(UndescribedError, match="nothing"):
        done(engine(Never("words", [])), folder)
    assert len(log) < 40


# --- servers


def ask(server, folder):
    asked = Settings(
        **MICRO, captioner=server.name, captioning=CaptionSettings(endpoint=EndpointSettings(retries=0, timeout=5))
    )
    return done(Engine(asked), folder)


HELD_BACK = {"error": {"code": "content_filter", "message": "The response was filtered"}}


@pytest.mark.parametrize(
    "answer",
    [
        says(HELD_BACK, 400),
        says({"error": {"message": "Your input was flagged by moderation"}}, 403),
        says({}, 413),
        says({"error": {"message": "absolute aspect ratio must be smaller than 200"}}, 400),
        says({"error": "height:10 must be larger than factor:28"}, 500),
        writes("", "content_filter"),
        writes(""),
        writes("", refusal="I cannot help with that."),
        writes("<think>hm</think>"),
    ],
)
def test_what_a_server_refuses_is_one_failure(folder, answer):
    with chat_serving(ChatServer(answers=[writes(), answer, writes()])) as server:
        batch, found = ask(server, folder)
    assert (batch.written, batch.failed) == (5, 1) and found["1.png"].error.startswith(server.base)


@pytest.mark.parametrize("answer", [says({}, status) for status in (401, 403, 404, 429, 503)])
def test_a_server_that_is_not_to_be_had_ends_the_run(folder, answer):
    with chat_serving(ChatServer(answers=[writes(), answer, writes()])) as server, pytest.raises(ModelError) as error:
        ask(server, folder)
    assert not isinstance(error.value, UndescribedError)


def test_a_server_that_is_gone_ends_the_run(folder):
    with chat_serving(ChatServer(answers=[writes()])) as server:
        pass
    with pytest.raises(ModelError, match="start the server"):
        ask(server, folder)
