"""Which states of a text tower are meant, and how a text is padded: plain values, so that naming them loads nothing."""

from __future__ import annotations

from typing import Literal, NamedTuple

Padding = Literal["end", "zero"]


class Layer(NamedTuple):
    """Which states are meant.

    skipped: blocks left out at the end; 0 is the last layer, 1 the second-to-last.
    normed: whether the tower's final normalisation is applied.
    """

    skipped: int
    normed: bool


LAST = Layer(0, True)
SECOND_TO_LAST = Layer(1, False)
SECOND_TO_LAST_NORMED = Layer(1, True)
