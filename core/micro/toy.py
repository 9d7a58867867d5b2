"""What is said where micro, which knows its own small drawings alone, is asked about something else."""

from __future__ import annotations

from collections.abc import Iterable

MICRO = "micro"
TOY = "Micro is a toy that knows small drawings of a few shapes; what it says of anything else means nothing."


def is_lost(model: str, sizes: Iterable[tuple[int, int]]) -> bool:
    """Whether that is micro, before a picture of none of its drawings. sizes: of the pictures, in pixels; one as small
    as a drawing is taken for one of them."""
    from .drawing import SIZE  # which takes numpy

    return model.casefold() == MICRO and any(size != (SIZE, SIZE) for size in sizes)
