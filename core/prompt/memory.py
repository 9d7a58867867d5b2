"""Fitting a search into a memory budget: the models come first, then the phrase table, the rest is to work with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cures import Choose, Give
from ..errors import SettingsError
from ..shortage import size

if TYPE_CHECKING:
    from ..clip import Clip

WORKING_MEMORY = 1536 * 2**20
"""Bytes that a search takes beside the weights: the phrases' embeddings and one chunk of candidates."""


def room_for_table(budget: int, clip: Clip) -> int:
    """Bytes a phrase table may take on the device.

    Raises SettingsError where the model alone takes more than the budget.
    """
    least = clip.nbytes + clip.text.fewest_working_bytes
    if budget < least:
        raise SettingsError(
            f"{clip.name} takes {size(least)} at this precision, more than the {size(budget)} of memory it is given",
            Give("memory", "more"),
            Choose("precision", ("float16", "bfloat16")),
            Give("clip", "a smaller one"),
        )
    return budget - clip.nbytes - clip.text.best_working_bytes


def divide(budget: int, clip: Clip, table_bytes: int) -> None:
    """Lets the model's text side work in what the models and the table leave of the budget."""
    clip.text.work_within(budget - clip.nbytes - table_bytes)
