"""A text tower with a memory: prompts grow, and what two of them share is evaluated once."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..progress import SILENT, Check
from .text_tower import Prefix, TextTower, common_length

# as many prompts as a beam search grows side by side, and their parents
_REMEMBERED = 12


@dataclass(frozen=True)
class Continuations:
    """Tokenized continuations of one prompt.

    beginning: the prompt's token ids, start-of-text first. suffixes: for each continuation the ids that follow.
    whole: by row, the ids after start-of-text of those that do not begin with the prompt's ids, whose suffix is unused.
    """

    beginning: tuple[int, ...]
    suffixes: tuple[tuple[int, ...], ...]
    whole: dict[int, tuple[int, ...]]


class Evaluator:
    """Embeddings of texts given as token ids: float32, normalised, [texts, width of the joint space]."""

    def __init__(self, tower: TextTower) -> None:
        self.tower = tower
        self._start = tower.prefix([tower.weights.start_of_text])
        self._recent: deque[Prefix] = deque([self._start], maxlen=_REMEMBERED)

    def forget(self) -> None:
        """Begins anew. What is remembered changes results by float32's rounding: for equal results, begin equally."""
        self._recent.clear()
        self._recent.append(self._start)

    @property
    def nbytes(self) -> int:
        """Of the weights, and of what is remembered at the most."""
        weights = self.tower.weights
        position = 2 * len(weights.blocks) * weights.positions.shape[1] * weights.positions.element_size()
        return weights.nbytes + _REMEMBERED * self.tower.context_length * position

    def text(self, ids: Sequence[int]) -> Tensor:
        """One text, [1, width]; cheap when it begins like a recent prompt."""
        ids = (self.tower.weights.start_of_text, *ids)
        return _normalised(self.tower.encode_whole(ids, self._nearest(ids))[None])

    def texts(self, ids: Sequence[Sequence[int]], check: Check = SILENT.check) -> Tensor:
        """Texts that share what they begin with. check: called all along."""
        return _normalised(self.tower.encode(self._start, ids, check))

    def continuations(self, texts: Continuations) -> Tensor:
        prefix = self.tower.prefix(texts.beginning, self._nearest(texts.beginning))
        if prefix is not self._recent[-1]:
            self._recent.append(prefix)
        if not texts.whole:
            return _normalised(self.tower.encode(prefix, texts.suffixes))
        rows = [row for row in range(len(texts.suffixes)) if row not in texts.whole]
        weights = self.tower.weights
        features = torch.empty(len(texts.suffixes), weights.output_width, device=weights.device)
        features[rows] = self.tower.encode(prefix, [texts.suffixes[row] for row in rows])
        features[list(texts.whole)] = self.tower.encode(self._start, list(texts.whole.values()))
        return _normalised(features)

    def _nearest(self, ids: Sequence[int]) -> Prefix:
        return max(self._recent, key=lambda prefix: common_length(prefix.ids, ids))


def _normalised(features: Tensor) -> Tensor:
    return features / features.norm(dim=-1, keepdim=True)
