"""From one text towards another: pictures moved along the difference of two texts in a CLIP's joint space."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import SettingsError
from .seen import Seen

if TYPE_CHECKING:
    from torch import Tensor

USUAL_AMOUNT = 1.0
MOST_AMOUNT = 8.0


@dataclass(frozen=True)
class Direction:
    """away: what the pictures show. toward: what they are to show in its place; told apart from `away` by nothing but
    what is to change, as in "a neutral face" and "a smiling face". Raises SettingsError."""

    away: str
    toward: str

    def __post_init__(self) -> None:
        for name, text in (("away from", self.away), ("toward", self.toward)):
            if not text.strip():
                raise SettingsError(f"There is no text to move {name}", "give what it looks like, in a few words")
        if self.away.strip() == self.toward.strip():
            raise SettingsError("A direction leads from one text to another, and both are the same", "change one")

    def moved(self, seen: Seen, amount: float, encode: Callable[[Sequence[str]], Tensor]) -> Seen:
        """What a CLIP would see of the pictures after `amount` of the whole difference; 0 leaves them, below 0 goes the
        other way. encode: the same CLIP's, of texts.

        That is what StyleCLIP calls a global direction (Patashnik et al. 2021, section 6), taken in the joint space
        itself, where a picture's embedding and the texts' difference can be added (Ramesh et al. 2022, section 3.3).
        Raises SettingsError for an amount that is no number or too large, and what `encode` does."""
        check_amount(amount)
        from torch.nn.functional import normalize

        if amount == 0:
            return seen
        away, toward = encode([self.away.strip(), self.toward.strip()])
        return Seen(normalize(seen.features + amount * (toward - away).to(seen.features), dim=-1), seen.keys)


def check_amount(amount: float) -> None:
    if not (math.isfinite(amount) and abs(amount) <= MOST_AMOUNT):
        problem = f"The amount of a direction is {amount:g}"
        raise SettingsError(problem, f"give a number of {MOST_AMOUNT:g} at most, or as much below 0")
