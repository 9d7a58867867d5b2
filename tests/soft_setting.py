"""What the tests of soft prompts share: encoders of the families' real widths, to be lent to micro's engine."""

from __future__ import annotations

from dataclasses import replace

import torch
from small_towers import Words, random_weights
from unrender.core.embed.families import Encoder, Family
from unrender.core.embed.soft import projection
from unrender.core.embed.soft.softener import Soft
from unrender.core.embed.text_side import TextSide

JOINT = 128
"""Micro's."""


def lent(family: Family, **more) -> dict[str, TextSide]:
    """Small random encoders of a family's widths. more: for `random_weights`."""
    return {encoder.name: _side(encoder, **more) for encoder in family.heard}


def _side(encoder: Encoder, **more) -> TextSide:
    width = encoder.width
    weights = random_weights(width, width, **{"layers": 2, "heads": width // 64, **more})
    return TextSide(weights, Words(), encoder.padding)


def into_micros_space(family: Family) -> torch.Tensor:
    """A projection of the seeing encoder's ends into the joint space that micro sees pictures in."""
    return random_weights(family.seeing.width, JOINT, 1, 1, seed=5).projection


def untouched(words: tuple[int, ...], width: int) -> Soft:
    return Soft(words, torch.zeros(len(words), width), torch.empty(0, width))


def few_steps(monkeypatch) -> None:
    """Enough to move, where nobody asks how well."""
    for name in ("ALONE", "AFTER_WORDS"):
        monkeypatch.setattr(projection, name, replace(getattr(projection, name), steps=3))
