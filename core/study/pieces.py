"""Where in a crowded or large picture something is: overlapping crops, each seen as a picture of its own.

A heat map (`core.study.explain`) has a value for each patch of one look at the picture, which is too coarse where there
are many things. Here each crop is looked at, and the phrase is where the crop is most like it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import SettingsError
from .cells import cells_of
from .explain import MOST_BOXES, Box, check_phrases, contrast_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..clip import Clip
    from ..progress import Progress

MOST_PIECES = 64
_MOST_CROPS = 100_000
_OVERLAP = 0.25
"""Of what two boxes cover together, beyond which the weaker one says the same as the stronger."""
_REFINED = (1 / 4, 1 / 8)
"""A box is compared with its neighbours, moved by a share of its side, and then by half as much."""
_SCALES = (1.25, 0.8)


class Crop(NamedTuple):
    """In pixels: left and top are inside, right and bottom just outside."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True)
class Found:
    """Where a phrase is in a picture of this (width, height): boxes, the best first. crops: how many were looked at."""

    phrase: str
    boxes: tuple[Box, ...]
    size: tuple[int, int]
    crops: int
    model: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready values."""
        width, height = self.size
        boxes = [asdict(box) for box in self.boxes]
        own = {"phrase": self.phrase, "width": width, "height": height, "boxes": boxes}
        return {**own, "crops": self.crops, "model": self.model}


def check_pieces(pieces: Sequence[int]) -> None:
    """SettingsError for numbers of pieces that make no sense."""
    if not pieces or not all(1 <= each <= MOST_PIECES for each in pieces):
        told = ", ".join(map(str, pieces)) or "none"
        raise SettingsError(f"The pieces along a side are {told}", f"give numbers from 1 to {MOST_PIECES}")


def crops_of(size: tuple[int, int], pieces: int) -> list[Crop]:
    """Squares as wide as the shorter side of a picture of this (width, height) holds so many of, a half of each covered
    by the next one, from edge to edge. Raises SettingsError where that are too many."""
    side = max(1, round(min(size) / pieces))
    columns, rows = (1 + math.ceil(2 * max(0, length - side) / side) for length in size)
    if columns * rows > _MOST_CROPS:
        raise SettingsError(
            f"{pieces} pieces along the shorter side of {size[0]} x {size[1]} are too many crops", "give fewer pieces"
        )
    tops, lefts = _starts(size[1], side, rows), _starts(size[0], side, columns)
    return [Crop(left, top, min(left + side, size[0]), min(top + side, size[1])) for top in tops for left in lefts]


def _starts(length: int, side: int, count: int) -> list[int]:
    return [round(each * max(0, length - side) / max(1, count - 1)) for each in range(count)]


def find(
    clip: Clip, picture: Image, phrases: Sequence[str], pieces: Sequence[int], progress: Progress
) -> tuple[Found, ...]:
    """Where each phrase is, among crops of the picture and, where it is a contact sheet, its own pictures. picture: RGB
    and upright, of any size: no more than one crop of it is copied at a time.

    A box's score is the cosine similarity of crop and phrase less the crop's mean similarity to general words. Raises
    SettingsError, ModelError, or Cancelled.
    """
    check_phrases(phrases)
    check_pieces(pieces)
    phrases = [phrase.strip() for phrase in phrases]
    own = [Crop(*cell) for cell in cells_of(picture)]
    grid = (crop for each in pieces for crop in crops_of(picture.size, each))
    crops = list(dict.fromkeys([*own, *(crop for crop in grid if not own or _is_within(crop, own))]))
    directions = _directions(clip, phrases)
    scores = _looked(clip, picture, crops, progress, "Looking at the pieces") @ directions.T
    known, found = {_box(crop, 0) for crop in own}, []
    for number, phrase in enumerate(phrases):
        best = _best(crops, scores[:, number])
        boxes = [
            each if replace(each, score=0.0) in known else _refined(clip, picture, each, directions[number], progress)
            for each in best
        ]
        boxes.sort(key=lambda box: (-box.score, box.top, box.left))
        found.append(Found(phrase, tuple(boxes), picture.size, len(crops), clip.name))
    return tuple(found)


def _is_within(crop: Crop, cells: Sequence[Crop]) -> bool:
    """Of a sheet nothing is looked at that shows parts of two of its pictures."""
    left, top, right, bottom = crop
    return any(each[0] <= left and each[1] <= top and right <= each[2] and bottom <= each[3] for each in cells)


def _directions(clip: Clip, phrases: Sequence[str]) -> np.ndarray:
    """[phrases, width]."""
    return contrast_of(clip, phrases).cpu().numpy()


def _looked(clip: Clip, picture: Image, crops: Sequence[Crop], progress: Progress, label: str = "") -> np.ndarray:
    """What the CLIP sees of each: [crops, width]."""

    def views() -> Iterator[Any]:
        for crop in progress.track(crops, label, len(crops)) if label else crops:
            yield clip.view(picture if crop == (0, 0, *picture.size) else picture.crop(crop))

    return clip.encode_views(views()).cpu().numpy()


def _best(crops: Sequence[Crop], scores: np.ndarray) -> list[Box]:
    """The best ones that hardly overlap, as long as one is nearer to the best score than to the rest's median."""
    least = (float(np.median(scores)) + float(scores.max())) / 2
    taken: list[Box] = []
    for number in np.argsort(-scores, kind="stable"):
        if len(taken) == MOST_BOXES or (taken and scores[number] < least):
            break
        if all(_shared(crops[number], other) <= _OVERLAP for other in taken):
            taken.append(_box(crops[number], scores[number]))
    return taken


def _box(crop: Crop, score: Any) -> Box:
    return Box(crop.left, crop.top, crop.right, crop.bottom, float(score))


def _refined(clip: Clip, picture: Image, box: Box, direction: np.ndarray, progress: Progress) -> Box:
    """The box, moved a little to where the phrase is still more at home, then resized."""

    def better(box: Box, near: Sequence[Crop]) -> Box:
        progress.check()
        if not near:
            return box
        scores = _looked(clip, picture, near, progress) @ direction
        best = int(scores.argmax())
        return _box(near[best], scores[best]) if scores[best] > box.score else box

    for share in _REFINED:
        steps = [(down, across) for down in (-share, 0, share) for across in (-share, 0, share) if down or across]
        box = better(box, _near(box, picture.size, [(*step, 1.0) for step in steps]))
    return better(box, _near(box, picture.size, [(0, 0, scale) for scale in _SCALES]))


def _near(box: Box, size: tuple[int, int], changes: Sequence[tuple[float, float, float]]) -> list[Crop]:
    """Other crops. changes: by how much of a side down and across, and how many times as large."""
    (wide, high), found = (box.right - box.left, box.bottom - box.top), []
    for down, across, scale in changes:
        width, height = (max(1, min(most, round(each * scale))) for most, each in zip(size, (wide, high), strict=True))
        left = round((box.left + box.right - width) / 2 + across * wide)
        top = round((box.top + box.bottom - height) / 2 + down * high)
        left, top = max(0, min(left, size[0] - width)), max(0, min(top, size[1] - height))
        found.append(Crop(left, top, left + width, top + height))
    return [each for each in dict.fromkeys(found) if each != (box.left, box.top, box.right, box.bottom)]


def _shared(one: Crop, other: Box) -> float:
    """What both cover, of what they cover together."""
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    both = max(0, across) * max(0, down)
    areas = [(each.right - each.left) * (each.bottom - each.top) for each in (one, other)]
    return both / max(1, sum(areas) - both)
