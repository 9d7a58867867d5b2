"""Tags, as taggers give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

TagCategory = Literal["general", "character", "rating", "copyright", "artist", "meta", "species", "year"]
TAG_CATEGORIES: tuple[TagCategory, ...] = get_args(TagCategory)


@dataclass(frozen=True)
class Tag:
    """name: as the tagger's own list has it, underscores and all. confidence: 0 to 1."""

    name: str
    confidence: float
    category: TagCategory = "general"


def of_category(tags: tuple[Tag, ...], category: TagCategory) -> tuple[Tag, ...]:
    return tuple(tag for tag in tags if tag.category == category)


def rating_of(tags: tuple[Tag, ...]) -> str:
    """The likeliest rating; "" where a tagger tells none."""
    return max(of_category(tags, "rating"), key=lambda tag: tag.confidence, default=Tag("", 0.0, "rating")).name
