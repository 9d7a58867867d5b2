"""How words are drawn, and kept from going round in circles, while transformers searches greedily.

transformers draws from the one generator that a whole process shares, so that its words depend on what else is drawn.
Here every picture has a generator of its own: what is likeliest after noise of Gumbel's distribution was added to the
logarithms is as if it had been drawn (Gumbel 1954), and the greedy search takes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ...settings import CaptionSettings

_EVERY = 8
"""Steps after which it is looked whether a text repeats itself."""
_TIMES, _LEAST, _LONGEST = 4, 24, 64
"""Repeated so often and in so many tokens at least, by parts of so many at most, a text has lost itself."""


class Drawing:
    """For one call of generate(); each of its rows draws the same random numbers."""

    def __init__(self, settings: CaptionSettings) -> None:
        self._settings = settings
        self._generators: list[torch.Generator] = []

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        if not self._generators:
            self._generators = [torch.Generator().manual_seed(self._settings.seed % 2**63) for _ in scores]
        scores = nucleus(scores.float() / self._settings.temperature, self._settings.top_p)
        waits = [torch.empty(scores.shape[1]).exponential_(generator=each) for each in self._generators]
        return scores - torch.stack(waits).clamp_min(torch.finfo(torch.float32).tiny).log().to(scores.device)


def nucleus(scores: Tensor, top_p: float) -> Tensor:
    """Minus infinity for all but the likeliest words that together have the probability top_p."""
    if top_p >= 1:
        return scores
    ordered, places = scores.sort(descending=True, dim=-1, stable=True)
    likely = ordered.softmax(-1)
    ordered = ordered.masked_fill(likely.cumsum(-1) - likely >= top_p, -torch.inf)
    return torch.empty_like(scores).scatter(-1, places, ordered)


class Guard:
    """For one call of generate(): ends a row that says the same for ever. end: the token that ends it."""

    def __init__(self, end: int) -> None:
        self._end = end
        self._written = -1

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        self._written += 1
        if self._written < _LEAST or self._written % _EVERY:
            return scores
        latest = input_ids[:, -min(self._written, _LONGEST * _TIMES) :].tolist()
        lost = [row for row, tokens in enumerate(latest) if len(once_only(tokens)) < len(tokens)]
        if lost:
            scores = scores.clone()
            scores[lost] = -torch.inf
            scores[lost, self._end] = 0
        return scores


def once_only(tokens: Sequence[int]) -> Sequence[int]:
    """Without the repetitions that they end with, if they are many: once said remains."""
    for period in range(1, min(_LONGEST, len(tokens) // _TIMES) + 1):
        start = len(tokens) - period
        while start > 0 and tokens[start - 1] == tokens[start - 1 + period]:
            start -= 1
        repeated = len(tokens) - start
        if repeated >= max(_LEAST, _TIMES * period):
            return tokens[: start + period]
    return tokens
