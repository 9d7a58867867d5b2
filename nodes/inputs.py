"""Inputs that several nodes have, and settings made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..core.errors import SettingsError
from ..core.phrases import POSITIVE, phrases_in
from ..core.settings import FITS, Settings
from .host import io

InterrogatorType = io.Custom("INTERROGATOR")

_MEANINGS = {
    "artists": "Let the prompt name artists.",
    "mediums": "Let the prompt name what the picture is made with: oil on canvas, a photograph, ...",
    "movements": "Let the prompt name movements and styles of art.",
    "sites": "Let the prompt name web sites for art.",
    "flavors": "Let the prompt have phrases of every other kind: light, mood, colour, detail, ...",
}
"""What switching on a category of the vocabulary's means."""


def interrogator_input() -> Any:
    return InterrogatorType.Input(
        "interrogator",
        optional=True,
        tooltip="Other models and settings, from Load Interrogator or Interrogator From CLIP. Without it "
        "ViT-L-14/openai and blip-large are used, and downloaded into models/unrender when first needed.",
    )


def fit_input() -> Any:
    return io.Combo.Input(
        "fit",
        options=list(FITS),
        default="crop",
        tooltip="How a picture becomes square: its centre is cropped, it is padded, or squashed.",
    )


def category_switches() -> list[Any]:
    return [io.Boolean.Input(name, default=True, tooltip=_MEANINGS[name]) for name in POSITIVE]


def with_words(settings: Settings, words: dict[str, Any]) -> Settings:
    """The settings with a node's inputs: category switches, max_phrases, exclude, pin, prefix and suffix."""
    most = words["max_phrases"]
    return replace(
        settings,
        limits={**settings.limits, **{name: 0 for name in POSITIVE if not words[name]}},
        max_phrases=most,
        min_phrases=min(settings.min_phrases, most),
        exclude=(*settings.exclude, *phrases_in(words["exclude"])),
        pinned=(*settings.pinned, *phrases_in(words.get("pin", ""))),
        prefix=words["prefix"],
        suffix=words["suffix"],
    )


def only(inputs: dict[str, list[Any]]) -> dict[str, Any]:
    """Of inputs that arrive as lists, the one value each that is meant for the whole run. Raises SettingsError where a
    node gives an empty list."""
    for name, values in inputs.items():
        if not values:
            raise SettingsError(f"There is nothing in what is connected to {name}", "connect a node that gives one")
    return {name: values[0] for name, values in inputs.items()}
