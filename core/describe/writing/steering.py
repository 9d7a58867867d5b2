"""transformers' beam search, steered: it keeps the cache and puts its rows in order, while which texts go on is
decided elsewhere.

The search takes the continuations with the highest sums of scores, and it adds what it is handed to what its rows had
before. So it is handed, for each continuation that was chosen, what brings that one to its place in the order, and
minus infinity for all others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..next_words import Chooser, Chosen, NextWords


class Enough(Exception):
    """Comes out of generate() when the texts are written. failure: what was raised by who chooses, if so."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__()
        self.failure = failure


class SteeredWords(NextWords):
    def __init__(
        self,
        ends: frozenset[int],
        text: Callable[[Sequence[int]], str],
        write: Callable[[Chooser, int], None],
    ) -> None:
        self.ends = ends
        self._text, self._write = text, write

    def text(self, tokens: Sequence[int]) -> str:
        return self._text(tokens)

    def write(self, choose: Chooser, most: int) -> None:
        self._write(choose, most)


class Steering:
    """Among the processors of scores of one call of generate() with one picture, the last of them.

    rows: of the beam search. ends: tokens that end a text in its eyes, none of which it is handed.
    check: raises where the first scores are no numbers; who chooses has to look at the others."""

    def __init__(self, choose: Chooser, rows: int, ends: frozenset[int], check: Callable[[Tensor], None]) -> None:
        self._choose, self._rows, self._ends, self._check = choose, rows, ends, check
        self._begun = False
        self._sums: list[float] = [0.0]  # of the rows that are texts; those behind them only fill the search up

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if not self._begun:
            self._check(scores.isnan().any())
        self._begun = True
        try:
            chosen = self._choose(scores[: len(self._sums)].float().log_softmax(-1))
        except Exception as error:
            raise Enough(error) from error  # past whoever takes it for the model's
        if not chosen:
            raise Enough
        return self._handed(scores, chosen)

    def _handed(self, scores: Tensor, chosen: Chosen) -> Tensor:
        handed = torch.full_like(scores, -torch.inf, dtype=torch.float32)
        sums = [-float(place) for place in range(len(chosen))]
        for (row, token), wanted in zip(chosen, sums, strict=True):
            handed[row, token] = wanted - self._sums[row]
        self._fill(handed, len(chosen))
        self._sums = sums
        return handed

    def _fill(self, handed: Tensor, known: int) -> None:
        """Continuations of the first row behind all chosen ones: the search looks at twice as many as it keeps."""
        missing = 2 * self._rows - known
        is_free = handed[0] == -torch.inf
        is_free[[end for end in self._ends if end < len(is_free)]] = False
        free = is_free.nonzero()[:missing, 0]
        handed[0, free] = -1e3 - self._sums[0] - torch.arange(len(free), device=free.device)
