"""A picture's embedding in a prompt's place: the conditioning that a webui's sampler takes for one step, made anew."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .ways import BLEND, REPLACE

_STATES, _POOLED = "crossattn", "vector"
"""What webuis call the two for SDXL; other models take the states alone."""


class Conditioning(NamedTuple):
    """states [77 n, width]; pooled [pooled width] for models that take one."""

    states: Tensor
    pooled: Tensor | None = None

    @classmethod
    def of(cls, cond: Any, pooled_width: int) -> Conditioning:
        """Of one prompt as a webui's text encoder returns it: [1, 77 n, width], or a mapping with the size and crop
        numbers behind the pooled vector."""
        if not isinstance(cond, Mapping):
            return cls(cond[0])
        return cls(cond[_STATES][0], cond[_POOLED][0, :pooled_width])


@dataclass(frozen=True)
class Steering:
    """How a picture takes part in a generation.

    picture, empty: its embedding, and the empty prompt's. way: REPLACE the typed prompt, BLEND with it position by
    position, or COMPOSE: what is drawn attends to both. strength: of the picture, from 0 to 1; what it lacks is the
    empty prompt's, or with BLEND the typed prompt's. start, end: the part of the steps, from 0 to 1, in which it holds.
    checkpoint: whose text encoders both are for. Another, such as a refiner, may listen to others of the same width.
    """

    picture: Conditioning
    empty: Conditioning
    way: str = REPLACE
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0
    checkpoint: str = ""

    def holds(self, done: float) -> bool:
        """done: the part of the steps that is over."""
        return self.start <= done and (done < self.end or self.end == 1)

    def steered(self, cond: Any) -> Any:
        """cond: the typed prompts' [rows, 77 m, width], or a mapping of that and of pooled vectors with size and crop
        numbers behind them. It stays as it is, and the result is of its type, on its device and in its dtype."""
        if not isinstance(cond, Mapping):
            return self._states(cond)
        changed: Any = copy.copy(cond)
        changed[_STATES] = self._states(cond[_STATES])
        changed[_POOLED] = self._vector(cond[_POOLED])
        return changed

    def _states(self, typed: Tensor) -> Tensor:
        picture = self.picture.states.to(typed)
        if self.way == BLEND:
            typed, picture = _as_long_as_each_other(typed, picture[None])
            return typed.lerp(picture.expand_as(typed), self.strength)
        empty, picture = _as_long_as_each_other(self.empty.states.to(typed), picture)
        found = empty.lerp(picture, self.strength).expand(len(typed), -1, -1)
        return found if self.way == REPLACE else torch.cat([typed, found], dim=1)

    def _vector(self, typed: Tensor) -> Tensor:
        assert self.picture.pooled is not None and self.empty.pooled is not None
        picture, empty = self.picture.pooled.to(typed), self.empty.pooled.to(typed)
        changed, width = typed.clone(), len(picture)
        if self.way == BLEND:
            changed[:, :width] = typed[:, :width].lerp(picture.expand_as(typed[:, :width]), self.strength)
        else:
            found = empty.lerp(picture, self.strength).expand_as(typed[:, :width])
            changed[:, :width] = found if self.way == REPLACE else typed[:, :width].lerp(found, 0.5)
        return changed


def _as_long_as_each_other(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Repeated along the positions: attention is the same over several copies of all positions as over one."""
    length = math.lcm(first.shape[-2], second.shape[-2])
    return _repeated(first, length), _repeated(second, length)


def _repeated(states: Tensor, length: int) -> Tensor:
    times = length // states.shape[-2]
    return states.repeat(*(1,) * (states.ndim - 2), times, 1)
