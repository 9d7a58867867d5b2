"""How tags become words of a prompt. Brackets are protected where a prompt leaves the program, not here."""

from __future__ import annotations

from collections.abc import Sequence

from ...settings import TagSettings
from ...tags import Tag
from ...targets import ordered as by_grammar

KAOMOJI = frozenset(
    [
        *("0_0", "(o)_(o)", "+_+", "+_-", "._.", "<o>_<o>", "<|>_<|>", "=_=", ">_<", "3_3"),
        *("6_9", ">_o", "@_@", "^_^", "o_o", "u_u", "x_x", "|_|", "||_||"),
    ]
)
"""Faces, whose underscores are mouths."""


def written(tag: str, settings: TagSettings) -> str:
    return tag if settings.underscores or tag in KAOMOJI else tag.replace("_", " ")


def words_of(tags: Sequence[Tag], rating: Tag | None, settings: TagSettings) -> str:
    """One line. tags: the surest first. rating: the likeliest, said where settings want it."""
    said = [*tags, *([rating] if rating and settings.rating else [])]
    words = [settings.trigger.strip(), *ordered(said, settings)]
    return ", ".join(dict.fromkeys(filter(None, words)))


def ordered(tags: Sequence[Tag], settings: TagSettings) -> list[str]:
    """The words in their order. A rating comes last where no grammar says else."""

    def write(name: str) -> str:
        return written(name, settings)

    if settings.order == "target":
        return by_grammar(tags, settings.target, write)
    if settings.order == "alphabet":
        tags = sorted(tags, key=lambda tag: write(tag.name).casefold())
    return [write(tag.name) for tag in sorted(tags, key=lambda tag: tag.category == "rating")]
