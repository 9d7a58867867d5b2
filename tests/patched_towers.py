"""Text towers as LoRAs leave them: changes of low rank in every matrix of the blocks, by chance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from unrender.core.clip.weights import TowerWeights, map_tensors
from unrender.core.embed.text_side import TextSide

RANK = 8


def patched(plain: TextSide, moved: float, read: Callable[[TextSide], Tensor]) -> TextSide:
    """By so much that what is read of texts [texts, ...] moves by such a share of how far texts are apart in it."""
    before = read(plain)
    spread = float((before - before.mean(dim=0)).norm())
    low, high, side = 0.0, 1.0, plain
    for _ in range(10):
        middle = (low + high) / 2
        side = replace(plain, weights=_changed(plain.weights, middle), known_fingerprint="", plain=lambda: plain)
        low, high = (middle, high) if float((read(side) - before).norm()) < moved * spread else (low, middle)
    return side


def _changed(weights: TowerWeights, size: float) -> TowerWeights:
    """size: of each matrix's change, as a share of its own."""
    generator = torch.Generator().manual_seed(0)

    def change(tensor: Tensor) -> Tensor:
        if tensor.ndim != 2:
            return tensor
        tall, wide = (torch.randn(length, RANK, generator=generator) for length in tensor.shape)
        change = tall @ wide.T
        return tensor + size * change * (tensor.norm() / change.norm())

    return replace(weights, blocks=tuple(map_tensors(block, change) for block in weights.blocks))
