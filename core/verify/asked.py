"""What is asked of verify, looked at before any library or weight is loaded."""

from __future__ import annotations

from collections.abc import Sequence

from ..cures import Give
from ..embed.kinds import PROJECTIONS, QUALITIES
from ..errors import ModelError, SettingsError
from ..foreign import existing
from ..hub.names import check_names
from ..printable import there_are

STEPS = 6
"""Of sampling, for a choice by rendering: what a prompt shows is there long before the picture is fine."""

SEEDS = (0, 1)
"""With which each prompt is rendered for it."""

PICTURES, RENDERINGS, SAMPLING_STEPS = 40, 2, 20
"""Of a comparison of ways to embed: 360 renderings, a quarter of an hour where each takes 2.5 seconds."""

TELLING = 12
"""Pictures below which an interval over them is no interval, and nothing is recommended."""

ALL = "all"

_FEWEST = 2
_FEWEST_PROMPTS, _MOST_PROMPTS = 2, 16


def check_count(pictures: int) -> None:
    """SettingsError for fewer pictures than can be compared."""
    if pictures < _FEWEST:
        raise SettingsError(f"{there_are(pictures, 'pictures')} to verify with", f"give {_FEWEST} or more")


def check_ways(names: Sequence[str]) -> None:
    """SettingsError for what is neither a quality nor a projection."""
    known = (ALL, *QUALITIES, *PROJECTIONS)
    if unknown := [name for name in names if name not in known]:
        raise SettingsError(f"{unknown[0]!r} is no way to embed a picture", f"choose from {', '.join(known)}")


def check_choice(count: int) -> None:
    """SettingsError for a number of prompts among which there is no choice, or no end."""
    if not _FEWEST_PROMPTS <= count <= _MOST_PROMPTS:
        wanted = f"give a number from {_FEWEST_PROMPTS} to {_MOST_PROMPTS}"
        raise SettingsError(f"is {count}", wanted, control="judge_by_rendering")


def check_seeds(seeds: Sequence[int]) -> None:
    if not seeds:
        raise SettingsError("There is no seed to render with", Give("seed", "one or more"))


def check_dino(name: str) -> None:
    """What is known to be wrong of a DINOv2's name without a network. Raises ModelError."""
    folder = existing(name)
    if folder is None:
        check_names(name, ())
    elif not folder.is_dir():
        raise ModelError(f"{name} is a file", Give("dino", "the folder in transformers' format that holds a DINOv2"))
