"""The pictures of a contact sheet: what lies between its gutters, lines of one colour from edge to edge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

_ALIKE = 12
"""Of 255: by how much the values of a gutter may differ, which a JPEG does not keep at one."""
_LEAST, _LONGEST = 12, 6.0
"""Pixels of a cell's side, and how many times as long as wide it may be: letters are no pictures."""
_FEWEST, _COVERED = 4, 0.4
"""Cells of a sheet, and the share of it that they cover."""
_AT_ONCE = 2**22

Span = tuple[int, int]


def cells_of(picture: Image) -> list[tuple[int, int, int, int]]:
    """Left, top, right and bottom of each, row by row; none where the picture is no such sheet. Takes the memory of a
    few million pixels beside the picture, which is RGB."""
    found = []
    for top, bottom in _spans(_flat_rows(picture)):
        across = _flat_columns(picture, top, bottom)
        for left, right in _spans(across):
            width, height = right - left, bottom - top
            if min(width, height) >= _LEAST and max(width, height) <= _LONGEST * min(width, height):
                found.append((left, top, right, bottom))
    covered = sum((right - left) * (bottom - top) for left, top, right, bottom in found)
    return found if len(found) >= _FEWEST and covered >= _COVERED * picture.width * picture.height else []


def _flat_rows(picture: Image) -> np.ndarray:
    """[height], whether a row is of one colour."""
    return np.concatenate([np.all(np.ptp(strip, axis=1) <= _ALIKE, axis=-1) for strip in _strips(picture)])


def _flat_columns(picture: Image, top: int, bottom: int) -> np.ndarray:
    """[width], whether a column is of one colour between two rows."""
    lows, highs = np.full((picture.width, 3), 255, np.uint8), np.zeros((picture.width, 3), np.uint8)
    for strip in _strips(picture, top, bottom):
        lows, highs = np.minimum(lows, strip.min(axis=0)), np.maximum(highs, strip.max(axis=0))
    return np.all(highs.astype(int) - lows <= _ALIKE, axis=-1)


def _strips(picture: Image, top: int = 0, bottom: int | None = None) -> Iterator[np.ndarray]:
    """Rows of pixels [rows, width, 3], a few million pixels at a time."""
    end, rows = picture.height if bottom is None else bottom, max(1, _AT_ONCE // picture.width)
    for first in range(top, end, rows):
        yield np.asarray(picture.crop((0, first, picture.width, min(end, first + rows))))


def _spans(flat: np.ndarray) -> list[Span]:
    """From where to where it is not flat."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], flat, [True]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
