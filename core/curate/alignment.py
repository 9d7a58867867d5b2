"""Whether one picture shows what another shows, or a part of it, whatever its size and compression.

The smaller view is laid over the larger one at several sizes, where the correlation of their greys is highest, then
moved until their colours differ least. What differs most after that, in a few places, decides: another drawing of the
same thing on the same ground differs little on the whole, and much where the thing is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

_SHARP, _FINE, _COARSE = 96, 64, 32  # longer sides of the copies that are compared
_SIZES = tuple(1 - 0.04 * step for step in range(9))
"""Of the part in the whole, along the side that fills it most: down to about two thirds, nearly half the area."""

_ALIKE = 0.45
_BLOCK, _WORST_BLOCKS = 4, 3
_HOPELESS = 90.0
_SURELY = 8.0  # the other way round is not tried
_STARTS = 3  # from the best place alone the moves end, now and then, where no small one leads further
_ROUNDS, _MOST_STEPS = 4, 6


class Look(NamedTuple):
    """A picture as it is compared. size: the picture's own. sharp, fine, small: RGB copies; the sharp one is no larger
    than the picture. grey: [height, width] float32 of the small one."""

    size: tuple[int, int]
    sharp: Image.Image
    fine: Image.Image
    small: Image.Image
    grey: np.ndarray

    @classmethod
    def at(cls, picture: Image.Image) -> Look:
        sharp = _shrunk(picture, min(_SHARP, max(picture.size)))
        fine = _shrunk(sharp, _FINE)
        small = _shrunk(fine, _COARSE)
        return cls(picture.size, sharp, fine, small, np.asarray(small.convert("L"), np.float32))


class Place(NamedTuple):
    """A rectangle in a picture, as shares of its width and height."""

    left: float
    top: float
    width: float
    height: float


class Placed(NamedTuple):
    """difference: how much the most different spots of two pictures differ where they show the same, or all that one
    shows is in the other: 0 to 255 a channel, `inf` where nothing suggests that. place: of the one in the other, or
    turned round; None where nothing suggests one."""

    difference: float
    place: Place | None = None
    turned_round: bool = False


def placed(one: Look, other: Look) -> Placed:
    found = _placed(one, other)
    if found.difference <= _SURELY:
        return found
    return min(found, _placed(other, one)._replace(turned_round=True), key=lambda each: each.difference)


def difference(one: Look, other: Look) -> float:
    """See `Placed`."""
    return placed(one, other).difference


def _placed(part: Look, whole: Look) -> Placed:
    likely = _likely_places(part, whole)
    if not likely:
        return Placed(float("inf"))
    starts = sorted(likely, key=lambda each: _mean_square(part, whole, each))[:_STARTS]
    if _worst(_deviation(part, whole, starts[0])) > _HOPELESS:
        return Placed(float("inf"))
    settled = [_settled(part, whole, place) for place in starts]
    place = min(settled, key=lambda each: _mean_square(part, whole, each))
    return Placed(_worst(_deviation(part, whole, place)), place)


def _likely_places(part: Look, whole: Look) -> list[Place]:
    """For each size where the greys correlate most, if they do at all."""
    rows, columns = whole.grey.shape
    fill = min(rows / part.fine.height, columns / part.fine.width)
    grey = part.fine.convert("L")
    places = []
    for size in _SIZES:
        width = min(columns, max(_BLOCK, round(part.fine.width * fill * size)))
        height = min(rows, max(_BLOCK, round(part.fine.height * fill * size)))
        sought = np.asarray(grey.resize((width, height), Image.Resampling.BOX), np.float32)
        correlations = _correlations(whole.grey, sought)
        top, left = np.unravel_index(int(correlations.argmax()), correlations.shape)
        if correlations[top, left] > _ALIKE:
            places.append(Place(left / columns, top / rows, width / columns, height / rows))
    return places


def _settled(part: Look, whole: Look, place: Place) -> Place:
    """Moved and resized in ever smaller steps as long as the colours differ less for it."""
    least = _mean_square(part, whole, place)
    step = 1 / _COARSE
    for _ in range(_ROUNDS):
        for _ in range(_MOST_STEPS):
            tried = [(_mean_square(part, whole, near), near) for near in _around(place, step)]
            cost, near = min(tried, key=lambda pair: pair[0])
            if cost >= least:
                break
            least, place = cost, near
        step /= 2
    return place


def _around(place: Place, step: float) -> list[Place]:
    moves = ((step, 0, 0), (-step, 0, 0), (0, step, 0), (0, -step, 0), (0, 0, step), (0, 0, -step))
    return [_kept_inside(place, *move) for move in moves]


def _kept_inside(place: Place, right: float, down: float, wider: float) -> Place:
    grown = min((place.width + 2 * wider) / place.width, 1 / place.width, 1 / place.height)
    width, height = place.width * grown, place.height * grown
    left = place.left + right - (width - place.width) / 2
    top = place.top + down - (height - place.height) / 2
    return Place(min(max(left, 0.0), 1 - width), min(max(top, 0.0), 1 - height), width, height)


def _deviation(part: Look, whole: Look, place: Place) -> np.ndarray:
    """[height, width, 3]: the part less the whole's colours at that place."""
    width, height = whole.fine.size
    right, bottom = place.left + place.width, place.top + place.height
    box = (place.left * width, place.top * height, min(right * width, width), min(bottom * height, height))
    seen = whole.fine.resize(part.small.size, Image.Resampling.BILINEAR, box=box)
    return np.asarray(part.small, np.float32) - np.asarray(seen, np.float32)


def _mean_square(part: Look, whole: Look, place: Place) -> float:
    return float(np.square(_deviation(part, whole, place)).mean())


def _worst(deviation: np.ndarray) -> float:
    """In blocks, since compression errs by the pixel and not on the whole of a block."""
    rows, columns = (max(1, side // _BLOCK) for side in deviation.shape[:2])
    kept = deviation[: rows * _BLOCK, : columns * _BLOCK]
    blocks = kept.reshape(rows, kept.shape[0] // rows, columns, kept.shape[1] // columns, 3).mean(axis=(1, 3))
    return float(np.sort(np.abs(blocks).mean(axis=-1), axis=None)[-_WORST_BLOCKS:].mean())


def _correlations(grey: np.ndarray, sought: np.ndarray) -> np.ndarray:
    """Pearson's, of every window of the sought size: [rows, columns] of their upper left corners; 0 for windows that
    are one grey all over."""
    windows = np.lib.stride_tricks.sliding_window_view(grey, sought.shape)
    centred = sought - sought.mean()
    products = (windows.reshape(-1, sought.size) @ centred.reshape(-1)).reshape(windows.shape[:2])
    sums, squares = _window_sums(grey, sought.shape), _window_sums(np.square(grey), sought.shape)
    lengths = np.sqrt(np.maximum(squares - np.square(sums) / sought.size, 0)) * np.linalg.norm(centred)
    return np.divide(products, lengths, out=np.zeros_like(lengths), where=lengths > sought.size)


def _window_sums(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    sums = np.pad(values.astype(np.float64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    height, width = shape
    return sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]


def _shrunk(picture: Image.Image, longer: int) -> Image.Image:
    """By the filter of `_deviation`: with another one fine patterns differ, and a box makes patterns of its own."""
    scale = longer / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.BILINEAR if scale < 1 else Image.Resampling.BICUBIC)
