"""How bad what was learned is on pictures that it did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from ..embed import PromptEmbedding
from ..embed.conditioning import assembled
from ..variation.checkpoint import Checkpoint
from ..variation.render import render_together
from ..variation.sampling import Sampling
from .learned import Learned
from .loop import Source
from .material import Material
from .noise import Condition, NoiseLoss

if TYPE_CHECKING:
    from ..verify.fidelity import Judge

_SHARE, _FEWEST, _MOST = 10, 2, 32
_LOOKS = 8
"""At each held-out picture, at times spread over all there are: fewer, and the loss says more of the noise."""

_SEED = 20_251


def divided(keys: Sequence[str]) -> tuple[list[int], list[int]]:
    """Numbers of the pictures to learn from, and of those that are held out: a tenth, the first by their hashes, so
    that it is the same ones in whatever order they come."""
    order = sorted(range(len(keys)), key=lambda number: keys[number])
    held = min(_MOST, max(_FEWEST, len(keys) // _SHARE))
    return sorted(order[held:]), sorted(order[:held])


@dataclass(frozen=True)
class ByNoise:
    """The loss itself, with the same noise and times whenever it is asked."""

    unet: Any
    loss: NoiseLoss
    source: Source
    material: Material
    learned: Learned

    def __call__(self, tuned: bool) -> float:
        generator = torch.Generator().manual_seed(_SEED)
        device = next(self.unet.parameters()).device
        losses = []
        for number in range(len(self.material.keys)):
            chosen, mirrored = [number] * _LOOKS, torch.zeros(_LOOKS, dtype=torch.bool)
            latents = self.material.chosen(chosen, mirrored)
            drawn = self.loss.spread(latents, generator)
            condition = self.source.conditions(chosen[:1], mirrored[:1], self.learned.prompts if tuned else None)
            repeated = condition.each(lambda part: part.to(device).expand(_LOOKS, *part.shape[1:]))
            losses.append(self.loss.of(self.unet, latents.to(device), drawn, repeated).mean())
        return float(torch.stack(losses).mean())


@dataclass(frozen=True)
class ByJudge:
    """How far renderings are from their pictures in the eyes of another network: one less its mean similarity.

    seen: what it sees in the pictures themselves [pictures, width]."""

    checkpoint: Checkpoint
    source: Source
    learned: Learned
    judge: Judge
    seen: torch.Tensor
    negative: PromptEmbedding
    sampling: Sampling

    @classmethod
    def of(
        cls,
        checkpoint: Checkpoint,
        source: Source,
        learned: Learned,
        judge: Judge,
        pictures: Sequence[Image.Image],
        negative: PromptEmbedding,
        sampling: Sampling,
    ) -> ByJudge:
        return cls(checkpoint, source, learned, judge, judge.encode_images(list(pictures)), negative, sampling)

    def __call__(self, tuned: bool) -> float:
        prompts = self.learned.prompts if tuned else None
        near = []
        for number, own in enumerate(self.seen):
            condition = self.source.conditions([number], torch.zeros(1, dtype=torch.bool), prompts)
            sampling = replace(self.sampling, seed=self.sampling.seed + number)
            made = render_together(self.checkpoint, [as_embedding(self.checkpoint, condition)], self.negative, sampling)
            near.append(self.judge.encode_images(made)[0] @ own)
        return 1 - float(torch.stack(near).mean())


def as_embedding(checkpoint: Checkpoint, condition: Condition) -> PromptEmbedding:
    """Of the first picture of a condition for a family of one text encoder."""
    (encoder,) = checkpoint.family.encoders
    return assembled(checkpoint.family, {encoder.name: condition.states[0].detach().float().cpu()})
