"""Texts written side by side by a model that keeps what each was made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from ..next_words import Chooser, NextWords

Follow = Callable[[Sequence[int], Sequence[int]], Tensor]
"""Takes rows and a token behind each; returns what is likely to be next, as `Chooser` takes it."""


class Branching(NextWords):
    """text: of tokens. tokens: of a text. start: gives how many tokens there is room for, what is likely to be the
    first, and what asks for the next ones."""

    def __init__(
        self,
        ends: frozenset[int],
        text: Callable[[Sequence[int]], str],
        tokens: Callable[[str], tuple[int, ...] | None],
        start: Callable[[], tuple[int, Tensor, Follow]],
    ) -> None:
        self.ends = ends
        self._text, self._tokens, self._start = text, tokens, start

    def text(self, tokens: Sequence[int]) -> str:
        return self._text(tokens)

    def tokens(self, text: str) -> tuple[int, ...] | None:
        return self._tokens(text)

    def write(self, choose: Chooser, most: int) -> None:
        room, likely, follow = self._start()
        while room and (chosen := choose(likely)):
            room -= 1
            if room:
                likely = follow(*map(list, zip(*chosen, strict=True)))
