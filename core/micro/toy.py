"""What is said where micro, which knows its own small drawings alone, is asked about something else."""

from __future__ import annotations

from collections.abc import Iterable

from ..published import MICRO as MICRO
from ..published import MICRO_CHAT as MICRO_CHAT
from ..published import TOYS as TOYS

TOY = "Micro is a toy that knows small drawings of a few shapes; what it says of anything else means nothing."


def is_toy(model: str | None) -> bool:
    """Whether a CLIP or describer is one of micro's, by name."""
    return model is not None and model.casefold() in TOYS


def is_lost(model: str | None, sizes: Iterable[tuple[int, int]]) -> bool:
    """Whether that is one of micro's, before a picture of none of its drawings. sizes: of the pictures, in pixels; one
    as small as a drawing is taken for one of them."""
    from .drawing import SIZE  # which takes numpy

    return is_toy(model) and any(size != (SIZE, SIZE) for size in sizes)
