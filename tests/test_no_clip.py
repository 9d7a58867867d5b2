"""Without a CLIP a caption is what was written, and what would need one is refused before anybody is asked."""

from __future__ import annotations

import pytest
from PIL import Image
from unrender.core.describe import Describer
from unrender.core.describe.describer import Description
from unrender.core.engine import Engine
from unrender.core.errors import ModelError, SettingsError, UnrenderError
from unrender.core.settings import Settings

WRITTEN = "A lighthouse stands on a rock. The sea is calm."
PICTURE = Image.new("RGB", (8, 8))


class Writer(Describer):
    name = "writer"

    def __init__(self):
        self.asked = 0

    def describe(self, images, settings=None, progress=None):
        found = [Description(WRITTEN) for _ in images]
        self.asked += len(found)
        return found


def no_clip(progress):
    raise AssertionError("a CLIP was asked for")


def engine(writer, **chosen):
    settings = Settings(clip="none", captioner="writer", device="cpu", **chosen)
    return Engine(settings, load_clip=no_clip, load_describer=lambda name, progress: writer)


def test_a_caption_is_what_was_written_and_has_no_similarity():
    with engine(Writer(), prefix="ohwx") as asked:
        (each,) = asked.interrogate_each([PICTURE], "caption")
        one = asked.interrogate(PICTURE, "caption")
        own = asked.interrogate(PICTURE, "caption", caption="a pier")
    for found in (each, one):
        assert (found.prompt, found.caption, found.similarity) == (f"ohwx, {WRITTEN}", WRITTEN, None)
        assert found.model == "writer" and found.phrases == ()
    assert own.prompt == "ohwx, a pier"


def test_it_ends_with_a_sentence_where_there_is_no_room_for_all():
    with engine(Writer(), token_limit=12) as asked:
        assert asked.interrogate(PICTURE, "caption").prompt == "A lighthouse stands on a rock."


@pytest.mark.parametrize("mode", ["best", "fast", "classic", "negative"])
def test_modes_that_search_are_refused(mode):
    writer = Writer()
    with engine(writer) as asked, pytest.raises(SettingsError, match=f"mode {mode} searches with a CLIP"):
        asked.interrogate(PICTURE, mode)
    assert not writer.asked


@pytest.mark.parametrize(
    "ask",
    [
        lambda asked: asked.interrogate_together([PICTURE, PICTURE], "caption"),
        lambda asked: list(asked.interrogate_each([PICTURE], "caption", features=None)),
    ],
)
def test_so_is_a_choice_among_captions(ask):
    writer = Writer()
    with engine(writer, candidates=2) as asked, pytest.raises(SettingsError, match="chooses among several captions"):
        ask(asked)
    assert not writer.asked


def test_and_all_else_that_looks_at_a_picture():
    with Engine(Settings(clip="none", device="cpu")) as asked:
        for ask in (lambda: asked.analyze(PICTURE), lambda: asked.match([PICTURE], ["a", "b"])):
            with pytest.raises(UnrenderError, match="No CLIP was chosen") as error:
                ask()
            assert isinstance(error.value, ModelError)
