"""Which models a piece of work takes."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from ..core.micro.toy import MICRO
from ..core.settings import Mode, Settings


class Needs(NamedTuple):
    """clip: whether the settings' CLIP is needed. describers: those that are, by name."""

    clip: bool = True
    describers: tuple[str, ...] = ()


SIGHT = Needs()
"""The CLIP alone."""


def needs_of(settings: Settings, mode: Mode, captioned: bool = False) -> Needs:
    """Of a prompt. captioned: whether there is a caption already."""
    from ..core.describe.asked import asks_clip, names_asked

    return Needs(asks_clip(settings, mode), names_asked(settings, mode, captioned))


def sight_of(settings: Settings) -> Needs:
    """Of an analysis, which has tags where there is a tagger."""
    return SIGHT if settings.tagger is None else Needs(True, (settings.tagger,))


def embedding_settings(settings: Settings, searched: bool) -> tuple[Settings, Needs]:
    """Of an embedding, and what it needs. searched: whether a search describes the pictures, as it would a prompt's;
    those of micro's world in the words of that."""
    if not searched:
        return replace(settings, captioner=None), SIGHT
    if settings.clip == MICRO and settings.captioner is not None:
        settings = replace(settings, captioner=MICRO)
    return settings, needs_of(settings, "best")
