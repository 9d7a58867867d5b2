"""Soft prompts of one family of models: words whose tokens have moved a little, and tokens after them that are no
words, found through each of its text encoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import NamedTuple

import torch
from torch import Tensor

from ...clip.layers import LAST
from ...clip.soft_tower import SoftTower, soft_states
from ...clip.weights import TowerWeights
from ...cures import Take
from ...progress import SILENT, Progress
from ...shortage import is_out_of_memory, let_go, within_memory
from ..families import Encoder, Family
from ..text_side import TextSide
from .aim import Aim
from .descent import Descent, descended
from .space import Space

FILLER = ","
"""What the added tokens are before they move."""


@dataclass(frozen=True)
class Wanted:
    """Of one picture. joint: its embedding [joint width]. answers: likelihoods [concepts] of what is asked of it; None
    where nothing is."""

    joint: Tensor
    answers: Tensor | None = None


@dataclass(frozen=True)
class Soft:
    """Of one encoder. words: token ids. moved [words, width]: by how much each has moved. added [tokens, width]: the
    embeddings of those after them."""

    words: tuple[int, ...]
    moved: Tensor
    added: Tensor

    def under(self, words: Sequence[int]) -> Tensor:
        """By how much each of other words has moved [words, width]: what they share keeps its place in the order."""
        moved = self.moved.new_zeros(len(words), self.moved.shape[1])
        for block in SequenceMatcher(None, self.words, tuple(words), autojunk=False).get_matching_blocks():
            moved[block.b : block.b + block.size] = self.moved[block.a : block.a + block.size]
        return moved


class States(NamedTuple):
    """By encoder: states [77 n, width] of the family's layer, and the last layer's state of the first end [width]."""

    states: Mapping[str, Tensor]
    ends: Mapping[str, Tensor]


class Softener:
    """sides: the family's text encoders by name. space: gives each one's."""

    def __init__(
        self,
        family: Family,
        sides: Mapping[str, TextSide],
        space: Callable[[Encoder], Space],
        progress: Progress = SILENT,
    ) -> None:
        self._family = family
        self._sides = sides
        self._space = space
        self._progress = progress

    # a host may run everything in inference mode, where nothing has a gradient
    @torch.inference_mode(False)
    @torch.no_grad()
    def soft(self, wanted: Wanted, words: str, descent: Descent) -> dict[str, Soft]:
        """By encoder, what words become so that they meet a picture. Raises ModelError, or Cancelled."""
        return {encoder.name: self._found(encoder, wanted, words, descent) for encoder in self._family.heard}

    def _found(self, encoder: Encoder, wanted: Wanted, words: str, descent: Descent) -> Soft:
        side, space = self._sides[encoder.name], self._space(encoder)
        tokens = side.tokenizer.encode(words)[: len(side.weights.positions) - 2 - descent.tokens]
        # of a vocabulary without it any embedding will do
        filler = side.tokenizer.encode(FILLER)[:1] or (side.weights.end_of_text,)

        def found(weights: TowerWeights) -> Soft:
            return _descended(weights, space, wanted, tokens, filler[0], descent, self._progress)

        elsewhere = _is_elsewhere(side.weights)
        cures = (Take("use the CPU"),) if elsewhere else ()
        with within_memory(f"No memory is left to find a soft prompt for {encoder.name}", *cures):
            try:
                return found(side.weights)
            except RuntimeError as error:
                if not (elsewhere and is_out_of_memory(error)):
                    raise
                let_go(error)
            return found(side.weights.to("cpu", torch.float32))

    def states(self, words: str, soft: Mapping[str, Soft] | None = None) -> States:
        """Of words, those that were moved or others, with what was added after them; of the words alone without it."""
        states, ends = {}, {}
        for encoder in self._family.heard:
            side = self._sides[encoder.name]
            tokens = side.tokenizer.encode(words)
            own = soft[encoder.name] if soft else _nothing(side.weights)
            layers = (encoder.layer, LAST)
            (taken, last), places = soft_states(
                side.weights, tokens, own.under(tokens), own.added, layers, encoder.padding, self._progress.check
            )
            states[encoder.name], ends[encoder.name] = taken.flatten(0, 1), last[0, int(places[0])]
        return States(states, ends)


def _nothing(weights: TowerWeights) -> Soft:
    none = weights.embedding[:0].float()
    return Soft((), none, none)


def _is_elsewhere(weights: TowerWeights) -> bool:
    """Whether main memory is left to go on in."""
    return weights.device.type != "cpu"


def _descended(
    weights: TowerWeights,
    space: Space,
    wanted: Wanted,
    words: Sequence[int],
    filler: int,
    descent: Descent,
    progress: Progress,
) -> Soft:
    device, stay = weights.device, descent.words is None
    before, moving = (words, ()) if stay else ((), words)
    ids = torch.tensor([*moving, *([filler] * descent.tokens)], dtype=torch.long, device=device)
    start = weights.embedded(ids).detach().float()
    held = torch.tensor([descent.words or 0.0] * len(moving) + [descent.added] * descent.tokens)
    asks = space.questions is not None and wanted.answers is not None
    aim = Aim(
        space.place(wanted.joint[None].to(device)),
        space.measure.to(device),
        space.questions.to(device) if space.questions is not None and asks else None,
        wanted.answers[None].to(device, copy=True) if wanted.answers is not None and asks else None,
        descent.answers,
    )
    tower = SoftTower(weights, [before], len(ids))
    found = descended(tower, start[None], held, lambda ends: aim.losses(space.project(ends)), descent, progress)[0]
    moved = start.new_zeros(len(words), start.shape[1]) if stay else (found - start)[: len(words)]
    return Soft(tuple(words), moved, found[len(moving) :])
