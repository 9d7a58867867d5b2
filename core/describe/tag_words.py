"""How tags become words of a prompt. Brackets are protected where a prompt leaves the program, not here."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..settings import TagSettings
from ..tags import Tag, TagCategory

KAOMOJI = frozenset(
    [
        *("0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3"),
        *("6_9", ">_o", "@_@", "^_^", "o_o", "u_u", "x_x", "|_|", "||_||"),
    ]
)
"""Faces, whose underscores are mouths."""

_COUNT = re.compile(r"\d+\+?(girl|boy|other)s?|multiple_(girls|boys|others)|solo|no_humans")
_GRAMMAR: tuple[TagCategory, ...] = (
    *("rating", "year"),
    *("character", "copyright", "artist", "species", "general", "meta"),
)
"""The order that models which were trained on Danbooru's tags have seen most; how many are in the picture comes before
who they are."""


def written(tag: str, settings: TagSettings) -> str:
    return tag if settings.underscores or tag in KAOMOJI else tag.replace("_", " ")


def words_of(tags: Sequence[Tag], rating: Tag | None, settings: TagSettings) -> str:
    """One line. tags: the surest first. rating: the likeliest, said where settings want it."""
    said = ordered([*tags, *([rating] if rating and settings.rating else [])], settings)
    words = [settings.trigger.strip(), *(written(tag.name, settings) for tag in said)]
    return ", ".join(dict.fromkeys(filter(None, words)))


def ordered(tags: Sequence[Tag], settings: TagSettings) -> list[Tag]:
    """By settings.order; within a part of the grammar by confidence. A rating comes last where no grammar says else."""
    if settings.order == "target":
        return sorted(tags, key=_place)
    if settings.order == "alphabet":
        return sorted(tags, key=lambda tag: (tag.category == "rating", written(tag.name, settings).casefold()))
    return sorted(tags, key=lambda tag: tag.category == "rating")


def _place(tag: Tag) -> float:
    if tag.category == "general" and _COUNT.fullmatch(tag.name):
        return _GRAMMAR.index("year") + 0.5
    return _GRAMMAR.index(tag.category)
