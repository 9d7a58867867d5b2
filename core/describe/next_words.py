"""What a describer's language model would write next, asked word by word by who decides which texts go on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from torch import Tensor

Chosen = Sequence[tuple[int, int]]
"""Texts that go on, each as the row of its beginning and the token that follows."""
Chooser = Callable[[Tensor], Chosen]
"""Takes the logarithms of what each token is likely to be the next of each text [texts, vocabulary]. The texts it
chooses are those of its next call, in this order; none, when it has seen enough."""


class NextWords(ABC):
    """Of one picture and what was asked of it. ends: the tokens after which a text is finished; never chosen."""

    ends: frozenset[int]

    @abstractmethod
    def text(self, tokens: Sequence[int]) -> str:
        """What the tokens say, as the describer itself would hand it out, be it finished or not."""

    def tokens(self, text: str) -> tuple[int, ...] | None:
        """What a text is written with, so that `text` gives it again; None for who cannot tell."""
        return None

    @abstractmethod
    def write(self, choose: Chooser, most: int) -> None:
        """Calls `choose` with one text, the empty one, then with those it chose, `most` of them at most, until it
        chooses none or the model can write no more. What it raises comes out unchanged. Raises ModelError as the
        describer does."""
