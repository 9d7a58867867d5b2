"""Many pictures through tagger, captioner and search: who is where when, and what is written of tags."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import pytest
from describers_saying import MICRO, Saying, Tagging, picture
from unrender.cli import main
from unrender.core.batch import Batch, sink_named, source_named
from unrender.core.batch.items import Outcome
from unrender.core.batch.template import Template
from unrender.core.describe.asked import tells_tags
from unrender.core.engine import Engine, Settings
from unrender.core.errors import BatchError, SettingsError
from unrender.core.results import Contender, Interrogation
from unrender.core.settings import CaptionSettings, EndpointSettings, TagSettings
from unrender.core.tags import Tag

SETTINGS = Settings(**MICRO, captioner="words", tagger="tags", max_phrases=1, min_phrases=1, pool=8)
TOLD = [
    {"name": "1girl", "confidence": 0.8, "category": "general"},
    {"name": "red_hair", "confidence": 0.8, "category": "general"},
    {"name": "smile", "confidence": 0.8, "category": "general"},
    {"name": "general", "confidence": 0.9, "category": "rating"},
]


@pytest.fixture
def log():
    return []


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "pictures"
    place.mkdir()
    for number in range(24):
        picture("red" if number % 2 == 0 else "blue").save(place / f"{number:02}.png")
    return place


class StopsAt(Engine):
    """Is ended when it is asked for so many pictures."""

    left = 10**6

    def interrogate_each(self, *arguments, **more):
        for result in super().interrogate_each(*arguments, **more):
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            yield result


def engine(log, settings=SETTINGS):
    known = {each.name: each for each in (Saying("words", log), Saying("rival", log, "a square"), Tagging("tags", log))}
    return StopsAt(settings, load_describer=lambda name, _: known[name])


def batch(log, folder, output="jsonl", mode="fast", settings=SETTINGS, engine_=None, resume=False, **more):
    sink = sink_named(output, folder, **more)
    made = Batch(engine_ or engine(log, settings), source_named([str(folder)]), sink, mode, resume=resume)
    return list(made), sink


def rows(folder):
    return [json.loads(line) for line in (folder / "desc.jsonl").read_text().splitlines()]


# --- models take turns


@pytest.mark.parametrize("mode", ["fast", "best"])
def test_twenty_four_pictures_swap_models_as_seldom_as_can_be(log, folder, mode, monkeypatch):
    from unrender.core.describers import EngineDescribers

    placed = EngineDescribers.placed
    monkeypatch.setattr(
        EngineDescribers, "placed", lambda self, each: log.append(("swap", each.name)) or placed(self, each)
    )
    found, _ = batch(log, folder, mode=mode)
    assert len(found) == 24 and all(outcome.result is not None for outcome in found)
    # the honest search asks the captioner how sure it was once the CLIP has seen all of them
    weighed = ["words"] if mode == "best" else []
    assert [who for kind, who, *_ in log if kind == "swap"] == ["words", "tags", *weighed]
    assert [entry[2] for entry in log if entry[1] == "describes"] == [24, 24]


def test_a_killed_run_goes_on_with_the_chunk_it_was_in(log, folder, tmp_path):
    batch(log, folder, mode="best")
    expected = (folder / "desc.jsonl").read_bytes()
    (folder / "desc.jsonl").unlink()
    ended = engine(log)
    ended.left = 9
    with pytest.raises(KeyboardInterrupt):
        batch(log, folder, mode="best", engine_=ended, existing="overwrite")
    log.clear()
    again, _ = batch(log, folder, mode="best", resume=True)
    assert len(again) == 15 and (folder / "desc.jsonl").read_bytes() == expected
    assert [entry[2] for entry in log if entry[1] == "describes"] == [24, 24], "those beside it are looked at again"


def test_how_words_are_written_is_part_of_a_run_and_how_long_one_waits_is_not(log, folder):
    ended = engine(log)
    ended.left = 9
    with pytest.raises(KeyboardInterrupt):
        batch(log, folder, "rename", "best", engine_=ended)
    slower = CaptionSettings(endpoint=EndpointSettings(timeout=1, retries=9))
    with pytest.raises(BatchError, match="another settings"):
        other = CaptionSettings(tags=TagSettings(exclude=("smile",)))
        batch(log, folder, "rename", "best", settings=replace(SETTINGS, captioning=other), resume=True)
    again, _ = batch(log, folder, "rename", "best", settings=replace(SETTINGS, captioning=slower), resume=True)
    assert len(again) == 15


@pytest.mark.parametrize(
    "values, mode, told",
    [
        ({}, "best", False),
        ({}, "tags", True),
        ({"tagger": "wd-vit"}, "best", True),
        ({"tagger": "wd-vit"}, "negative", False),
        ({"captioner": "wd-vit"}, "fast", True),
        ({"captioner": "wd-vit"}, "negative", False),
        ({"rivals": ("wd-vit",)}, "caption", True),
    ],
)
def test_whether_tags_are_told(values, mode, told):
    assert tells_tags(Settings(**values), mode) is told


# --- what is written


def test_a_table_has_the_tags_with_their_confidences(log, folder):
    batch(log, folder, mode="caption")
    first = rows(folder)[0]
    assert first["tags"] == TOLD and first["caption"] == "a red circle" and "contenders" not in first
    assert first["prompt"] == "a red circle, 1girl, red hair, smile"


def test_tags_alone_need_no_clip_and_no_similarity(log, folder):
    batch(log, folder, mode="tags")
    first = rows(folder)[0]
    assert first["prompt"] == "1girl, red hair, smile" and first["similarity"] is None and first["model"] == "tags"
    batch(log, folder, "txt", "tags")
    assert (folder / "01.txt").read_text().strip() == "1girl, blue hair"


def test_columns_of_tags(log, folder):
    columns = ("tags", "characters", "rating")
    batch(log, folder, "csv", "tags", columns=columns)
    with (folder / "desc.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert (first["tags"], first["characters"], first["rating"]) == ("1girl, red hair, smile", "", "general")
    batch(log, folder, mode="tags", columns=(*columns, "embedding"))
    first = rows(folder)[0]
    assert first["tags"] == TOLD and first["rating"] == "general" and first["characters"] == ""
    assert sum(value * value for value in first["embedding"]) == pytest.approx(1, abs=1e-5)


def test_columns_of_tags_in_parquet(log, folder):
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet files need pyarrow")
    batch(log, folder, "parquet", "tags", columns=("tags", "rating"))
    first = parquet.read_table(folder / "desc.parquet").to_pylist()[0]
    assert first["tags"] == TOLD and first["rating"] == "general" and first["similarity"] is None


@pytest.mark.parametrize("more", [{"columns": ("rating",)}, {"template": Template("{rating} {prompt}")}])
def test_what_a_tagger_tells_is_refused_without_one(log, folder, more):
    settings = Settings(**MICRO, captioner="words")
    with pytest.raises(SettingsError, match="tagger"):
        batch(log, folder, "csv", "fast", settings=settings, **more)
    assert not log and not (folder / "desc.csv").exists()
    batch(log, folder, "csv", "tags", settings=SETTINGS, **more)


def test_names_and_lines_may_have_the_rating(log, folder):
    batch(log, folder, "wildcard", "tags", template=Template("{rating}, {prompt}, {characters}of {tags}"))
    line = (folder / "wildcard.txt").read_text().splitlines()[0]
    assert line == "general, 1girl, red hair, smile, of 1girl, red hair, smile"


def test_contenders_are_told(log, folder):
    batch(log, folder, mode="caption", settings=replace(SETTINGS, rivals=("rival",)))
    first = rows(folder)[0]
    assert {each["describer"] for each in first["contenders"]} == {"words", "rival"}
    assert first["caption"] == first["contenders"][0]["text"]


def test_an_outcome_survives_its_journal():
    result = Interrogation(
        *("a, b", None, "tags", "", (), "wd", 0.0),
        tags=(Tag("a", 0.5), Tag("x_(y)", 1, "character")),
        contenders=(Contender("t", "d", 3, -0.1),),
    )
    outcome = Outcome("1.png", result)
    values = json.loads(json.dumps(outcome.to_dict()))
    assert Outcome.from_dict(values) == outcome
    old = {name: value for name, value in values.items() if name not in ("tags", "contenders")}
    assert Outcome.from_dict(old).result.tags == ()
    for wrong in (
        {"tags": [{"name": 1, "confidence": 1.0, "category": "general"}]},
        {"tags": "a"},
        {"contenders": [1]},
    ):
        with pytest.raises(ValueError):
            Outcome.from_dict({**values, **wrong})


def test_help_has_the_fields(capsys):
    with pytest.raises(SystemExit):
        main(["batch", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "{rating}" in told and "characters" in told
