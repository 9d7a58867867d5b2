"""Everything a user may set, as one immutable value checked when it is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from types import MappingProxyType
from typing import Literal, get_args

from .choices import NONE
from .cures import Choose, Control
from .errors import SettingsError
from .published import VIT_L

Mode = Literal["best", "fast", "classic", "negative", "caption"]
Fit = Literal["crop", "pad", "squash"]
Precision = Literal["auto", "exact", "float16", "bfloat16"]
Search = Literal["peer", "beam"]

MODES: tuple[Mode, ...] = get_args(Mode)
UNCAPTIONED: tuple[Mode, ...] = ("negative",)
"""The modes that no captioner writes for."""

FITS: tuple[Fit, ...] = get_args(Fit)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
SEARCHES: tuple[Search, ...] = get_args(Search)


@dataclass(frozen=True)
class CaptionSettings:
    """How the captioner writes.

    instruction: what an instruction-following captioner is asked; others continue it as the caption's beginning.
    max_length: tokens at most. beams: beam search width, 1 is greedy.
    """

    instruction: str = ""
    max_length: int = 32
    beams: int = 1

    def __post_init__(self) -> None:
        _at_least("max_length", self.max_length, 1)
        _at_least("beams", self.beams, 1)


@dataclass(frozen=True)
class Settings:
    """What an Engine works with.

    clip: an open_clip `name/tag`, a hub id or folder in transformers format, a safetensors file, or "micro".
    captioner: a known captioner's name, a hub id, a folder, "micro"; None, or "none", for no caption.
    phrases: None for the built-in lists, "peer" for an installed clip-interrogator's, "clip-gaze", or a folder of
    NAME.txt files.
    search: "peer" is clip-interrogator's greedy chain; "beam" also grows beam_width prompts side by side, each over the
    beam_shortlist phrases that suit the leading one best, chosen anew every beam_refresh phrases, and takes the better.
    device: "auto", or what torch accepts ("cpu", "cuda", "cuda:1", "mps").
    precision: "auto" searches in half precision where that is faster and decides in float32: the prompt is that of
    float32 with a probability of error below one in a million a picture (`core.prompt.screening`). Only "exact",
    float32 throughout, claims more. "float16" and "bfloat16" compute everything so, rounding included.
    memory: bytes that models, phrases and search may take on the device while a prompt is searched (the captioner has
    them to itself before); None for what is free.
    limits: phrases of a category in a prompt at most, by category name; 0 leaves the category out, absent is no limit.
    exclude: phrases never used, compared without letter case.
    trigger, prefix, suffix: words put around every prompt; they count towards token_limit.
    pool: how many of the phrases most like the picture a search chooses from.
    min_phrases, max_phrases: how many phrases the search takes at least and at most in the modes that search.
    token_limit: length of a prompt in tokens, start and end included; never more than the model's context length.
    peer_defects: repeat clip-interrogator 0.6.0's defects listed in `core.prompt.interrogate`, for comparisons with it.
    cache: where downloads and phrase tables are kept; None for the platform's cache folder.
    """

    clip: str = VIT_L
    captioner: str | None = "blip-large"
    phrases: str | PathLike[str] | None = None
    search: Search = "peer"
    device: str = "auto"
    precision: Precision = "auto"
    memory: int | None = None
    fit: Fit = "crop"
    limits: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    exclude: tuple[str, ...] = ()
    trigger: str = ""
    prefix: str = ""
    suffix: str = ""
    pool: int = 2048
    beam_width: int = 4
    beam_shortlist: int = 64
    beam_refresh: int = 4
    min_phrases: int = 8
    max_phrases: int = 32
    token_limit: int = 77
    peer_defects: bool = False
    captioning: CaptionSettings = field(default_factory=CaptionSettings)
    cache: str | PathLike[str] | None = None

    def __post_init__(self) -> None:
        if self.captioner is not None and self.captioner.casefold() == NONE:
            object.__setattr__(self, "captioner", None)
        _one_of("search", self.search, SEARCHES)
        _one_of("precision", self.precision, PRECISIONS)
        _one_of("fit", self.fit, FITS)
        for name, value in _counts(self):
            _at_least(name, value, 1)
        if self.memory is not None:
            _at_least("memory", self.memory, 1)
        _at_least("min_phrases", self.min_phrases, 0)
        _at_least("max_phrases", self.max_phrases, max(1, self.min_phrases))
        _at_least("token_limit", self.token_limit, 3)
        for category, limit in self.limits.items():
            if limit < 0:
                raise SettingsError(f"of {category} is {limit}", "give 0 or more", control="limits")


def _counts(settings: Settings) -> tuple[tuple[Control, int], ...]:
    return (
        ("pool", settings.pool),
        ("beam_width", settings.beam_width),
        ("beam_shortlist", settings.beam_shortlist),
        ("beam_refresh", settings.beam_refresh),
    )


def _one_of(name: Control, value: str, valid: tuple[str, ...]) -> None:
    if value not in valid:
        raise SettingsError(f"is {value!r}", Choose(name, valid), control=name)


def _at_least(name: Control, value: int, least: int) -> None:
    if value < least:
        raise SettingsError(f"is {value}", f"give {least} or more", control=name)
