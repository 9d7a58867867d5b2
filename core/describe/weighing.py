"""How likely a describer is to say each of several texts of a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from .next_words import Chosen, NextWords


def log_likelihoods(words: NextWords, texts: Sequence[str]) -> list[float] | None:
    """The logarithm of each text's probability, end included; -inf where it is longer than the describer writes. All
    are one pass, in which they share what they begin with. None where the describer cannot tell. Raises as
    `NextWords.write`."""
    tokens = [words.tokens(text) for text in texts]
    known = [each for each in tokens if each is not None]
    if len(known) < len(tokens):
        return None
    walk = _Walk(known, words.ends)
    words.write(walk.choose, len(set(known)))
    return [walk.found.get(each, -math.inf) for each in known]


class _Walk:
    """Along the tokens of all texts, token by token."""

    def __init__(self, texts: Sequence[tuple[int, ...]], ends: frozenset[int]) -> None:
        self._ends = sorted(ends)
        self._whole = set(texts)
        self._following: dict[tuple[int, ...], set[int]] = {}
        for text in self._whole:
            for count in range(len(text)):
                self._following.setdefault(text[:count], set()).add(text[count])
        self._begun: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
        self.found: dict[tuple[int, ...], float] = {}

    def choose(self, likely: Tensor) -> Chosen:
        """As `NextWords.write` asks it."""
        chosen: list[tuple[int, int]] = []
        begun = []
        for row, (text, value) in enumerate(self._begun):
            scores = likely[row].double()
            if text in self._whole:
                self.found[text] = value + float(scores[self._ends].logsumexp(0))
            for token in sorted(self._following.get(text, ())):
                chosen.append((row, token))
                begun.append(((*text, token), value + float(scores[token])))
        self._begun = begun
        return chosen
