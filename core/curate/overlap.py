"""How much two pictures share, once one is known to lie about there over the other, and whether they are copies.

The place is settled to a fraction of a pixel by Gauss-Newton steps (Lucas and Kanade 1981) that give little weight to
what differs (Cauchy's), so that a thing that moved moves nothing else; the one may stick out of the other. Copies show
nothing that differs, and one of them nothing that the other does not. What differs is seen beside the details that both
have there: resizing and compression err at edges, and a thing that is gone has edges in one picture alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from .alignment import Look, Place, placed

SHARE = 0.75
"""Of all that two pictures show, what both show, at least, where they are copies or nearly so."""

_ROUGHLY_SAME = 16.0
"""Greatest difference of what is looked at more closely; chosen on micro's validation pictures, as the numbers below on
these and on crops of photographs (benchmarks/curation.py)."""

_ROUNDS = 4  # on the small copies, and twice that on the sharp ones
_FAR_STEP, _NEAR_STEP = 0.05, 3e-4
_LEAST_SIDE = 0.3
_NOISE = 3.0
_BLOCK = 4
_DETAILS_ALIKE = 0.8
_ODD, _ODD_BY_COMPRESSION = 0.45, 150.0
_FLAT, _BY_EDGES = 4.0, 0.5
_ROUNDING = 5000.0  # of 64 pixels three quarters are 55 by 55, which are .739, and measuring errs there most


class Overlap(NamedTuple):
    """difference: the greatest of colours, 0..255. share: what both show, of all that the two show, 0..1.
    one_inside, other_inside: the picture shows nothing that the other one does not. copies: nothing differs but size,
    crop and compression; else something moved, or each shows a margin that the other lacks."""

    difference: float
    share: float
    one_inside: bool
    other_inside: bool
    copies: bool

    def turned_round(self) -> Overlap:
        return self._replace(one_inside=self.other_inside, other_inside=self.one_inside)


THE_SAME = Overlap(0.0, 1.0, True, True, True)


def overlap(one: Look, other: Look) -> Overlap | None:
    """None where the two share less than `SHARE`, or nothing suggests that they share anything."""
    found = placed(one, other)
    if found.difference > _ROUGHLY_SAME or found.place is None:
        return None
    part, whole = (other, one) if found.turned_round else (one, other)
    shown = _overlap(part, whole, _settled(part, whole, found.place), found.difference)
    return shown.turned_round() if shown and found.turned_round else shown


def _overlap(part: Look, whole: Look, place: Place, difference: float) -> Overlap | None:
    place = Place(*map(float, place))
    right, bottom = place.left + place.width, place.top + place.height
    common = max(0.0, min(right, 1) - max(place.left, 0)) * max(0.0, min(bottom, 1) - max(place.top, 0))
    share = common / (1 + place.width * place.height - common)
    longer = min(max(part.size), max(whole.size))
    if share < SHARE - _ROUNDING / longer**3:
        return None
    alike, odd = _compared(part.sharp, whole.sharp, place)
    if alike < _DETAILS_ALIKE:
        return None
    slack = 0.0025 + 0.5 / longer  # half a pixel, as programs that resize differ, and what measuring errs by
    outside = (-place.left, -place.top, right - 1, bottom - 1)
    part_inside = max(outside) <= slack
    whole_inside = -min(outside) <= slack
    same = odd <= _ODD + _ODD_BY_COMPRESSION / longer  # which errs by the pixel, and less where more make a block
    return Overlap(difference, min(share, 1.0), part_inside, whole_inside, same and (part_inside or whole_inside))


def _settled(part: Look, whole: Look, start: Place) -> Place:
    """Through the small copies, which see farther, where that helps."""
    roughly = _stepped(_grey(part.small), whole.small.convert("L"), start, _ROUNDS)
    sought, ground = _grey(part.sharp), whole.sharp.convert("L")
    nearer = min((start, roughly), key=lambda place: _missing(sought, ground, place))
    found = _stepped(sought, ground, nearer, 2 * _ROUNDS)
    return min((nearer, found), key=lambda place: _missing(sought, ground, place))


def _grey(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("L"), np.float32)


def _missing(sought: np.ndarray, ground: Image.Image, place: Place) -> float:
    rows, columns = _common(sought.shape, ground.size, place)
    missing = sought[rows, columns] - _window(ground, sought.shape, place)[rows, columns]
    return float(np.abs(missing).mean()) if missing.size else float("inf")


def _stepped(sought: np.ndarray, ground: Image.Image, place: Place, rounds: int) -> Place:
    for _ in range(rounds):
        moves = _moves(sought, ground, place)
        if moves is None:
            break
        right, down, wider, higher = moves
        width, height = max(_LEAST_SIDE, place.width + wider), max(_LEAST_SIDE, place.height + higher)
        left = place.left + right - (width - place.width) / 2
        top = place.top + down - (height - place.height) / 2
        place = Place(left, top, width, height)
        if max(map(abs, moves)) < _NEAR_STEP:
            break
    return place


def _moves(sought: np.ndarray, ground: Image.Image, place: Place) -> list[float] | None:
    """To the right, down, wider, higher, in shares of the ground; None where too little of it is seen."""
    rows, columns = _common(sought.shape, ground.size, place)
    seen = _window(ground, sought.shape, place)[rows, columns]
    if min(seen.shape) < 2 * _BLOCK:
        return None
    missing = sought[rows, columns] - seen
    spread = max(_NOISE, 2 * float(np.median(np.abs(missing))))
    weights = 1 / (1 + np.square(missing / spread))
    down, right = np.gradient(seen)
    height, width = sought.shape
    right *= width / place.width
    down *= height / place.height
    across = ((np.arange(width, dtype=np.float32)[columns] + 0.5) / width - 0.5)[None, :]
    along = ((np.arange(height, dtype=np.float32)[rows] + 0.5) / height - 0.5)[:, None]
    slopes = np.stack([right, down, right * across, down * along]).reshape(4, -1)
    weighted = slopes * weights.reshape(-1)
    curvature = (weighted @ slopes.T).astype(np.float64)
    curvature[np.diag_indices(4)] += 1e-4 * curvature.diagonal() + 1e-6  # a flat picture says nothing of its place
    moves = np.linalg.solve(curvature, weighted @ missing.reshape(-1))
    return np.clip(moves, -_FAR_STEP, _FAR_STEP).tolist()


def _compared(part: Image.Image, whole: Image.Image, place: Place) -> tuple[float, float]:
    """The correlation of the details of both, and how odd the two oddest blocks are."""
    shape = (part.height, part.width)
    rows, columns = _common(shape, whole.size, place)
    one = np.asarray(part, np.float32)[rows, columns]
    other = _window(whole, shape, place)[rows, columns]
    if min(one.shape[:2]) < 2 * _BLOCK:
        return 0.0, float("inf")
    slopes = [np.stack(np.gradient(each.mean(axis=-1))) for each in (one, other)]
    lengths = float(np.linalg.norm(slopes[0]) * np.linalg.norm(slopes[1]))
    alike = float((slopes[0] * slopes[1]).sum()) / lengths if lengths > 0 else 0.0
    edges = np.minimum(*(_blocks(np.hypot(*each)[..., None])[..., 0] for each in slopes))
    differences = np.abs(_blocks(one - other)).mean(axis=-1)
    odd = np.sort(differences / (_FLAT + _BY_EDGES * edges), axis=None)
    return alike, float(odd[-2:].mean())


def _common(shape: tuple[int, ...], ground: tuple[int, int], place: Place) -> tuple[slice, slice]:
    """The rows and columns of the part that the ground has too."""
    return (
        _inside(shape[0], ground[1], place.top, place.height),
        _inside(shape[1], ground[0], place.left, place.width),
    )


def _inside(count: int, pixels: int, start: float, length: float) -> slice:
    middles = start + (np.arange(count) + 0.5) / count * length
    inside = np.flatnonzero((middles >= 0.5 / pixels) & (middles <= 1 - 0.5 / pixels))
    return slice(int(inside[0]), int(inside[-1]) + 1) if len(inside) else slice(0, 0)


def _window(ground: Image.Image, shape: tuple[int, ...], place: Place) -> np.ndarray:
    """The ground at that place in the part's pixels; nothing where it sticks out."""
    width, height = ground.size
    right, bottom = place.left + place.width, place.top + place.height
    box = (place.left * width, place.top * height, right * width, bottom * height)
    size = (shape[1], shape[0])
    return np.asarray(ground.transform(size, Image.Transform.EXTENT, box, Image.Resampling.BILINEAR), np.float32)


def _blocks(values: np.ndarray) -> np.ndarray:
    """Means over squares of pixels: [rows, columns, channels]."""
    rows, columns = (side // _BLOCK for side in values.shape[:2])
    kept = values[: rows * _BLOCK, : columns * _BLOCK]
    return kept.reshape(rows, _BLOCK, columns, _BLOCK, -1).mean(axis=(1, 3))
