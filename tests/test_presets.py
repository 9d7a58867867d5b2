"""Presets name models that exist and settings that are valid."""

from __future__ import annotations

import pytest
from unrender.core.presets import PRESETS, TARGETS
from unrender.core.settings import CaptionSettings, Settings


def test_there_is_a_preset_for_every_target():
    assert tuple(PRESETS) == TARGETS == ("sd15", "sd2", "sdxl", "flux")


@pytest.mark.parametrize("target", TARGETS)
def test_a_preset_makes_valid_settings(target):
    preset = PRESETS[target]
    Settings(
        clip=preset.clip,
        token_limit=preset.token_limit,
        min_phrases=preset.min_phrases,
        max_phrases=preset.max_phrases,
        captioning=CaptionSettings(max_length=preset.caption_length),
    )


def test_stable_diffusion_2_is_judged_by_the_clip_it_listens_to():
    assert PRESETS["sd15"].clip == "ViT-L-14/openai"
    assert PRESETS["sd2"].clip == "ViT-H-14/laion2b_s32b_b79k"


@pytest.mark.parametrize("target", TARGETS)
def test_every_preset_names_a_clip_that_can_be_had_as_safetensors(target):
    from unrender.core.clip.names import find_known

    known = find_known(PRESETS[target].clip)
    assert known is not None
    assert known.safetensors
