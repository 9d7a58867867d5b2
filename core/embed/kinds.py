"""How a picture becomes a prompt's embedding, and how several become one, by the names a user has for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from ..file_names import NAME_BYTES, is_safe_stem

Projection = Literal["soft", "pinv", "ridge", "bank", "anchored"]
PROJECTIONS: tuple[Projection, ...] = get_args(Projection)

USUAL = "usual"
"""In a list of projections or of qualities: what suits the text encoders."""

SUMMARIES: Mapping[Projection, str] = {
    "soft": "tokens that are no words, moved until the text they end meets the picture",
    "pinv": "the published closed form, at once",
    "ridge": "a map learned from text alone",
    "bank": "the mean of what the text encoder makes of the prompts nearest to the picture",
    "anchored": "the picture's own prompt, found by a search or given, and what the map sees beyond it",
}

Quality = Literal["quick", "good", "best"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)
USUAL_QUALITY: Quality = "best"

QUALITY_SUMMARIES: Mapping[Quality, str] = {
    "quick": "at once: nothing is learned, asked or searched",
    "good": "in seconds: a soft prompt that meets the picture and answers as it does, without words",
    "best": "the prompt that a search finds, and a soft prompt for what it lacks",
}


TUNED = "tuned:"
"""A projection that was tuned on pictures is named by this and its file's name: the closed form, of what a CLIP sees
with that file's deep prompts."""


def is_tuned(projection: str | None) -> bool:
    return projection is not None and projection.startswith(TUNED)


def tuned_name(projection: str) -> str:
    return projection.removeprefix(TUNED)


PLAIN_NAME = r"[\w-][\w -]*"
"""Of a tuned projection that is found by name, and not by its file's."""

_ROOM = NAME_BYTES - len(".embedding.safetensors")
"""Bytes of such a name at most, whichever ending its files have."""


def is_plain_name(name: str) -> bool:
    return re.fullmatch(PLAIN_NAME, name) is not None and is_safe_stem(name, _ROOM)


class Way(NamedTuple):
    """How a picture is embedded. searched: whether a search finds the prompt that describes it. asks: whether a soft
    prompt is to answer as the picture does in the families of concepts. tuned: the projection's whole name where it was
    tuned on pictures."""

    projection: Projection
    searched: bool = False
    asks: bool = True
    tuned: str = ""


def way_of(quality: Quality, closed_form: bool) -> Way:
    """closed_form: whether that reaches what the family takes."""
    if quality == "quick":
        return Way("pinv") if closed_form else Way("soft", asks=False)
    return Way("soft", searched=quality == "best")


def way_by(projection: Projection) -> Way:
    """Of a projection by name."""
    return Way(projection, searched=projection == "anchored")


Mix = Literal["mean", "spherical", "share"]
MIXES: tuple[Mix, ...] = get_args(Mix)
