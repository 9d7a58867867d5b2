"""How near a rendering comes to the picture itself, where words cannot follow: position, palette, ground.

By a network that was no teacher of any model, in what it sees before it names factors; and by pixels at low frequency:
the mean difference of the colours of 8 x 8 fields.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, normalize
from unrender.core.micro.pictures import normalise

_FIELDS = 8
_BATCH = 100


@dataclass(frozen=True)
class Looks:
    """Of pictures: seen [pictures, width], normalised; fields [pictures, 3, 8, 8], 0 to 1."""

    seen: Tensor
    fields: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, judge: nn.Sequential, pixels: Tensor) -> Looks:
        """pixels: uint8 [pictures, 3, height, width]."""
        body = judge[:-1]
        seen = torch.cat([body(normalise(part)) for part in pixels.split(_BATCH)])
        return cls(normalize(seen, dim=-1), adaptive_avg_pool2d(pixels.float() / 255, _FIELDS))

    def similarities(self, others: Looks) -> Tensor:
        """[pictures], cosine of what is seen."""
        return (self.seen * others.seen).sum(dim=-1)

    def distances(self, others: Looks) -> Tensor:
        """[pictures], mean absolute difference of the fields."""
        return (self.fields - others.fields).abs().mean(dim=(1, 2, 3))
