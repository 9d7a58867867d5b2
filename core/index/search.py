"""The pictures of an index that are nearest to a text or another picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import SettingsError
from .file import PictureIndex


@dataclass(frozen=True)
class Found:
    """A picture, and its cosine similarity to what was searched, -1..1."""

    path: Path
    similarity: float


def search(index: PictureIndex, features: np.ndarray, top: int) -> tuple[Found, ...]:
    """The `top` pictures nearest to an embedding [width], the nearest first, equal ones by name.

    One product over all rows: what an approximate index saves is less than reading the file takes.
    Raises SettingsError when top is below 1.
    """
    if top < 1:
        raise SettingsError(f"top is {top}", "give 1 or more")
    similarities = index.features @ features.astype(np.float32)
    best = np.argsort(-similarities, kind="stable")[:top]
    return tuple(Found(index.path(int(row)), float(similarities[row])) for row in best)
