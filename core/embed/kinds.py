"""How a picture becomes a prompt's embedding, and how several become one, by the names a user has for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Projection = Literal["pinv", "ridge", "bank", "anchored"]
PROJECTIONS: tuple[Projection, ...] = get_args(Projection)

USUAL = "usual"
"""In a list of projections: what suits the family."""

SUMMARIES: Mapping[Projection, str] = {
    "pinv": "the published closed form, at once",
    "ridge": "a map learned from text alone",
    "bank": "the mean of what the text encoder makes of the prompts nearest to the picture",
    "anchored": "the picture's own prompt, found by a search or given, and what the map sees beyond it",
}

Mix = Literal["mean", "spherical", "share"]
MIXES: tuple[Mix, ...] = get_args(Mix)
