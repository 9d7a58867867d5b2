"""Text towers of any shape with random weights and a vocabulary of 64 tokens."""

from __future__ import annotations

import torch
from unrender.core.clip.weights import Block, TowerWeights


class Words:
    """Each letter is a token."""

    start_of_text, end_of_text = 62, 63

    def encode(self, text):
        return tuple(ord(letter) % 60 + 1 for letter in text)

    def joins(self, text):
        return True

    def batch(self, texts):
        raise NotImplementedError


def random_weights(width=64, joint=48, layers=2, heads=2, quick_gelu=False, seed=0, has_projection=True):
    """A text tower with a small vocabulary and any shape."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape, std=0.1):
        return torch.randn(*shape, generator=generator) * std

    def norm():
        return 1 + normal(width), normal(width), 1e-5

    def block():
        qkv, up = normal(3 * width, width, std=width**-0.5), normal(2 * width, width, std=width**-0.5)
        out, down = normal(width, width, std=width**-0.5), normal(width, 2 * width, std=width**-0.5)
        return Block(
            norm(), qkv, normal(3 * width), out, normal(width), norm(), up, normal(2 * width), down, normal(width)
        )

    projection = normal(joint, width, std=width**-0.5) if has_projection else None
    return TowerWeights(
        normal(64, width, std=0.5),
        normal(77, width),
        tuple(block() for _ in range(layers)),
        norm(),
        projection,
        None,
        heads,
        quick_gelu,
        Words.start_of_text,
        Words.end_of_text,
    )
