"""What is asked of verify, looked at before any library or weight is loaded."""

from __future__ import annotations

from collections.abc import Sequence

from ..cures import Give
from ..errors import ModelError, SettingsError
from ..foreign import existing
from ..hub.names import check_names
from ..printable import there_are

STEPS = 6
"""Of sampling, for a choice by rendering: what a prompt shows is there long before the picture is fine."""

SEEDS = (0, 1)
"""With which each prompt is rendered for it."""

_FEWEST = 2
_FEWEST_PROMPTS, _MOST_PROMPTS = 2, 16


def check_count(pictures: int) -> None:
    """SettingsError for fewer pictures than can be compared."""
    if pictures < _FEWEST:
        raise SettingsError(f"{there_are(pictures, 'pictures')} to verify with", f"give {_FEWEST} or more")


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
