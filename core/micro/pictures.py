"""Sets of drawn pictures as tensors, rendered by all processor cores."""

from __future__ import annotations

import multiprocessing
import random
from typing import NamedTuple

import numpy as np
import torch

from .drawing import draw_arrays
from .world import Scene, Split, random_scene

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

# Every split draws with its own seeds: no two pictures of different sets share one.
_FIRST_SEED: dict[Split, int] = {"train": 0, "validation": 10**8, "test": 2 * 10**8}


class Pictures(NamedTuple):
    """n pictures: the scenes, pixels (n, 3, 64, 64) uint8, masks (n, 64, 64) uint8, factor indices (n, 6)."""

    scenes: list[Scene]
    pixels: torch.Tensor
    masks: torch.Tensor
    labels: torch.Tensor

    def first(self, count: int) -> Pictures:
        return Pictures(self.scenes[:count], self.pixels[:count], self.masks[:count], self.labels[:count])


def render(split: Split, count: int) -> Pictures:
    """The first `count` pictures of a split; always the same ones."""
    rng = random.Random(f"{split} pictures")
    return drawn([random_scene(rng, split) for _ in range(count)], _FIRST_SEED[split])


def render_for_judge(number: int, count: int) -> Pictures:
    """Pictures of every combination, with seeds that no split and no other judge (0 or 1) draws with."""
    rng = random.Random(f"judge {number} pictures")
    return drawn([random_scene(rng) for _ in range(count)], (3 + number) * 10**8)


def drawn(scenes: list[Scene], first_seed: int) -> Pictures:
    """Each scene with a seed of its own, counted up."""
    count = len(scenes)
    seeds = range(first_seed, first_seed + count)
    if count < 1000:
        arrays = [draw_arrays(scene, seed) for scene, seed in zip(scenes, seeds, strict=True)]
    else:
        with multiprocessing.get_context("spawn").Pool() as pool:
            arrays = pool.starmap(draw_arrays, zip(scenes, seeds, strict=True), chunksize=128)
    return Pictures(
        scenes,
        torch.from_numpy(np.stack([picture for picture, _ in arrays])).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(np.stack([mask for _, mask in arrays])),
        torch.tensor([scene.indices for scene in scenes]),
    )


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 pixels (n, 3, h, w) to what the vision towers take."""
    mean = torch.tensor(CLIP_MEAN, device=pixels.device).view(1, 3, 1, 1)
    std = torch.tensor(CLIP_STD, device=pixels.device).view(1, 3, 1, 1)
    return (pixels.float() / 255 - mean) / std
