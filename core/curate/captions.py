"""Captions beside pictures that other pictures' captions suit better."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import TextFileError
from ..texts import read_known

LEAST_CAPTIONS = 20
"""Fewer are no measure of how well a caption could suit."""

_MOST_BYTES = 2**20
_TOO_MANY = 0.1
_TIE = 1e-5  # the same words beside many pictures
_ROWS_AT_ONCE = 1024


class Mismatch(NamedTuple):
    """number: the picture's among those with captions. similarity: cosine with its own caption. better: the share of
    the others' captions that suit the picture better, 0..1."""

    number: int
    similarity: float
    better: float


def caption_beside(picture: Path) -> str:
    """The text in PICTURE.txt; "" where there is none that can be read."""
    try:
        return read_known(picture.with_suffix(".txt"), _MOST_BYTES).strip()
    except TextFileError:
        return ""


def mismatches(pictures: np.ndarray, captions: np.ndarray) -> list[Mismatch]:
    """The worst first; none where there are fewer than `LEAST_CAPTIONS`.

    pictures, captions: embeddings [pictures, width], each picture with its own caption. A rank, since how similar a
    right caption is differs with its length and from model to model."""
    if len(pictures) < LEAST_CAPTIONS:
        return []
    found = []
    for start in range(0, len(pictures), _ROWS_AT_ONCE):
        table = pictures[start : start + _ROWS_AT_ONCE] @ captions.T
        own = table[np.arange(len(table)), start + np.arange(len(table))]
        better = (table > own[:, None] + _TIE).sum(axis=1) / (len(pictures) - 1)
        worst = np.flatnonzero(better > _TOO_MANY)
        found += [Mismatch(start + int(row), float(own[row]), float(better[row])) for row in worst]
    return sorted(found, key=lambda each: -each.better)
