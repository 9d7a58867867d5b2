"""What several pictures share, as the features of one."""

from __future__ import annotations

import math
from collections.abc import Sequence, Sized
from typing import TYPE_CHECKING

from ..cures import Give
from ..errors import SettingsError
from ..printable import there_are

if TYPE_CHECKING:
    from torch import Tensor

    from ..clip import Clip

_NOTHING_SHARED = 1e-6


def shares(count: int, weights: Sequence[float] | None) -> Tensor:
    """How much each of so many pictures counts, float64, summing to 1; equally without weights.

    Raises SettingsError for weights that are not one of zero or more for each picture, or that are all zero.
    """
    import torch

    check_weights(count, weights)
    factors = torch.tensor([1.0] * count if weights is None else list(weights), dtype=torch.float64)
    return factors / factors.sum()


def check_weights(count: int, weights: Sequence[float] | None) -> None:
    """SettingsError for weights that `shares` refuses; for before the pictures are looked at."""
    if weights is None:
        return
    if len(weights) != count:
        raise SettingsError(unequal(len(weights), "weights", count), Give("weights", "one for each"))
    if not all(math.isfinite(weight) and weight >= 0 for weight in weights) or not any(weights):
        raise SettingsError("A weight is below zero or no number, or all are zero", "give numbers of zero and more")


def check_one_each(count: int, **given: Sized | None) -> None:
    """SettingsError for what is given by name and is not one for each of so many pictures."""
    for name, values in given.items():
        if values is not None and len(values) != count:
            raise SettingsError(unequal(len(values), name, count), "give one for each")


def unequal(given: int, name: str, count: int) -> str:
    """What is wrong, where it should be one for each picture."""
    return f"{there_are(given, name)} for {count:,} picture{'' if count == 1 else 's'}"


def shared_features(features: Tensor, weights: Sequence[float] | None = None) -> Tensor:
    """The direction between the pictures: normalised features [pictures, width] -> normalised [width].

    weights: one for each picture, zero or more, not all zero; equal when absent. Only their ratios matter.
    Raises SettingsError when the weights do not suit the pictures, or the pictures cancel each other out.
    """
    count = len(features)
    if count == 0:
        raise SettingsError("There is no picture", "give one or more")
    factors = shares(count, weights).to(features)
    if count == 1:
        return features[0]
    mean = (features * factors[:, None]).sum(dim=0)
    length = float(mean.norm())
    if length < _NOTHING_SHARED:
        raise SettingsError("These pictures have nothing in common that a CLIP model sees", "leave one of them out")
    return mean / length


def shared_caption(clip: Clip, captions: Sequence[str], features: Tensor) -> str:
    """The caption most like the features [width], the first of equal ones."""
    if len(captions) == 1:
        return captions[0]
    return captions[int((clip.encode_texts(captions) @ features).argmax())]
