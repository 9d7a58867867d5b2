"""Tags that a chat model lists are treated as a tagger's, so far as words allow."""

from __future__ import annotations

import pytest
from PIL import Image
from unrender.core.describe import Describer
from unrender.core.describe.describer import Description
from unrender.core.describe.listed_words import as_tags
from unrender.core.engine import Engine
from unrender.core.settings import CaptionSettings, Settings, TagSettings
from unrender.core.targets import TARGETS

LISTED = "Red coat, pier, 1girl, long hair, solo, pier."


def test_they_stay_as_they_are_where_nothing_is_asked_of_them():
    assert as_tags(LISTED, TagSettings()) == LISTED
    assert as_tags("", TagSettings(order="target", target="sd15")) == ""


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (TagSettings(exclude=("red_coat", "SOLO")), "pier, 1girl, long hair, pier"),
        (TagSettings(most=2), "Red coat, pier"),
        (TagSettings(order="target"), "1girl, solo, Red coat, pier, long hair"),
        (
            TagSettings(order="target", target="anima", exclude=("pier",)),
            "masterpiece, best quality, score_7, 1girl, solo, Red coat, long hair",
        ),
    ],
)
def test_they_are_chosen_and_ordered(settings, text):
    assert as_tags(LISTED, settings) == text


class Talker(Describer):
    name = "talker"

    def describe(self, images, settings=None, progress=None):
        asked = settings or CaptionSettings()
        return [Description(LISTED if asked.style == "tags" else "A woman stands on a pier.") for _ in images]


@pytest.mark.parametrize("name", ["pony", "noobai"])
def test_a_chat_model_s_tags_are_a_prompt_for_a_target(name):
    settings = TARGETS[name].over(Settings(tagger="talker", device="cpu"), "chat")
    with Engine(settings, load_describer=lambda name, progress: Talker()) as engine:
        prompt = engine.interrogate(Image.new("RGB", (8, 8)), "tags").prompt
    assert prompt == ", ".join([*TARGETS[name].quality, "1girl", "solo", "Red coat", "pier", "long hair"])


def test_underscores_become_blanks_but_in_faces():
    assert as_tags("long_hair, ^_^, sky.", TagSettings()) == "long hair, ^_^, sky."
    assert as_tags("long_hair, sky", TagSettings(underscores=True)) == "long_hair, sky"
    assert as_tags("long_hair,1girl", TagSettings(order="target")) == "1girl, long hair"
