"""Where in a picture a phrase finds its support: heat maps from a CLIP's patch features, and boxes around the peaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..clip.preprocess import Region
from ..errors import SettingsError
from ..images import fit_image

if TYPE_CHECKING:
    from torch import Tensor

    from ..clip import Clip
    from ..settings import Fit

LONGEST_SIDE = 256
"""Values of a heat map along the picture's longer side at most: more would only smooth between patches."""

MOST_BOXES = 5

_CONTRAST = (
    *("a picture", "a photo", "a drawing", "an image of nothing", "a scene", "a place", "a background"),
    *("a surface", "a texture", "colours", "light", "something", "an object", "a thing"),
)
"""Words that fit any part of any picture: what a patch says of them says nothing of the phrase."""


@dataclass(frozen=True)
class Box:
    """A part of a picture, in its pixels: left and top are inside, right and bottom just outside.

    score: by how much its best patch is more similar to the phrase than to general words, in cosine.
    """

    left: int
    top: int
    right: int
    bottom: int
    score: float


@dataclass(frozen=True)
class HeatMap:
    """Where a phrase finds its support in a picture.

    size: (width, height) of the upright picture in pixels.
    support: float32 [rows, columns], one value per patch: the cosine similarity of phrase and patch, less the mean
    similarity of that patch to general words. Above zero the patch speaks for the phrase.
    region: the part of the picture that the patches cover, in its pixels; it reaches beyond a picture that was padded.
    """

    phrase: str
    size: tuple[int, int]
    support: np.ndarray
    region: Region

    @cached_property
    def values(self) -> np.ndarray:
        """Float32 [rows, columns] evenly over the whole picture, `LONGEST_SIDE` long at most: the support, linear
        between the patches' centres; 0 where it is negative and where the model does not see the picture."""
        scale = min(1.0, LONGEST_SIDE / max(self.size))
        width, height = (max(1, round(side * scale)) for side in self.size)
        return self.resized(width, height)

    def resized(self, width: int, height: int) -> np.ndarray:
        """Like `values`, [height, width]."""
        down = _interpolation(height, self.size[1], self.region.top, self.region.bottom, self.support.shape[0])
        across = _interpolation(width, self.size[0], self.region.left, self.region.right, self.support.shape[1])
        return np.maximum(down @ self.support @ across.T, 0)

    @property
    def highest(self) -> float:
        """The greatest of the values."""
        return float(self.values.max())

    @property
    def peak(self) -> tuple[int, int]:
        """The pixel (x, y) of the picture where the values are greatest; of several, as at the picture's border, where
        the values are level, the one nearest to the middle of the patch with the most support."""
        rows, columns = self.values.shape
        patch_row, patch_column = divmod(int(self.support.argmax()), self.support.shape[1])
        middle = (
            _middle(patch_row, self.support.shape[0], self.region.top, self.region.bottom) / self.size[1] * rows - 0.5,
            _middle(patch_column, self.support.shape[1], self.region.left, self.region.right) / self.size[0] * columns
            - 0.5,
        )
        greatest = np.argwhere(self.values == self.values.max())
        row, column = greatest[np.abs(greatest - np.array(middle)).sum(axis=1).argmin()]
        return int((column + 0.5) / columns * self.size[0]), int((row + 0.5) / rows * self.size[1])

    def boxes(self) -> tuple[Box, ...]:
        """Around every connected part that is nearer in support to the peak than to the rest of the picture,
        the best first; none where nothing speaks for the phrase.

        The border lies halfway between the median and the greatest of the values. A box's score is its greatest value.
        """
        values = self.values
        if values.max() <= 0:
            return ()
        rows, columns = values.shape
        across, down = self.size[0] / columns, self.size[1] / rows
        boxes = []
        for part in _connected(values > (np.median(values) + values.max()) / 2):
            (top, left), (bottom, right) = part.min(0), part.max(0) + 1
            score = float(values[part[:, 0], part[:, 1]].max())
            boxes.append(Box(int(left * across), int(top * down), round(right * across), round(bottom * down), score))
        boxes.sort(key=lambda box: (-box.score, box.top, box.left))
        return tuple(boxes[:MOST_BOXES])


@dataclass(frozen=True)
class Location:
    """Where a phrase is in a picture: boxes, the best first, none where nothing speaks for it; and the whole map."""

    phrase: str
    boxes: tuple[Box, ...]
    heat: HeatMap
    model: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready values. `map` holds the support of each patch, and the region of the picture they cover."""
        width, height = self.heat.size
        return {
            "phrase": self.phrase,
            "width": width,
            "height": height,
            "boxes": [asdict(box) for box in self.boxes],
            "map": {
                "region": [round(edge, 2) for edge in self.heat.region],
                "support": [[round(float(value), 4) for value in row] for row in self.heat.support],
            },
            "model": self.model,
        }


def heat_maps(clip: Clip, picture: Image.Image, phrases: Sequence[str], fit: Fit = "crop") -> tuple[HeatMap, ...]:
    """One heat map per phrase, independent of the other phrases.

    picture: RGB and upright. fit: as the picture is fitted for the model (`core.images.fit_image`).
    The patch features are those of MaskCLIP (Zhou, Loy, Dai: Extract Free Dense Labels from CLIP, ECCV 2022); taking
    away what is common to all texts follows Li, Wang, Duan, Li: CLIP Surgery for Better Explainability with Enhancement
    in Open-Vocabulary Tasks, 2023.
    Raises ModelError for models without patches, SettingsError for an empty phrase or none.
    """
    check_phrases(phrases)
    phrases = [phrase.strip() for phrase in phrases]
    fitted = fit_image(picture, fit)
    patches = clip.encode_patches(fitted)
    directions = contrast_of(clip, phrases).to(patches.device)
    region = _in_picture(clip.seen_region(fitted.size), fitted.size, _fitted_region(picture.size, fit))
    supports = (patches @ directions.T).cpu().numpy()
    return tuple(
        HeatMap(phrase, picture.size, np.ascontiguousarray(supports[..., number]), region)
        for number, phrase in enumerate(phrases)
    )


def contrast_of(clip: Clip, phrases: Sequence[str]) -> Tensor:
    """[phrases, width]: each phrase's embedding less the mean one of general words."""
    texts = clip.encode_texts([*phrases, *_CONTRAST])
    return texts[: len(phrases)] - texts[len(phrases) :].mean(0)


def check_phrases(phrases: Sequence[str]) -> None:
    """SettingsError for an empty phrase or none."""
    if not phrases or not all(phrase.strip() for phrase in phrases):
        raise SettingsError("There is no phrase to look for in the picture", "give one, such as 'a red circle'")


def _fitted_region(size: tuple[int, int], fit: Fit) -> Region:
    """What a fitted picture covers of the picture of this (width, height), in the latter's pixels."""
    width, height = size
    if fit != "pad":
        return Region(0, 0, width, height)
    side = max(size)
    left, top = -((side - width) // 2), -((side - height) // 2)
    return Region(left, top, left + side, top + side)


def _in_picture(seen: Region, fitted: tuple[int, int], covered: Region) -> Region:
    """`seen`, in pixels of the fitted picture, in those of the picture it covers."""
    across, down = (covered.right - covered.left) / fitted[0], (covered.bottom - covered.top) / fitted[1]
    return Region(
        covered.left + seen.left * across,
        covered.top + seen.top * down,
        covered.left + seen.right * across,
        covered.top + seen.bottom * down,
    )


def _interpolation(count: int, length: float, start: float, end: float, cells: int) -> np.ndarray:
    """Weights [count, cells] that read, at `count` even steps along `length`, values given at the centres of `cells`
    even cells from `start` to `end`: linear between centres, level beyond the outer ones, zero outside."""
    places = (np.arange(count) + 0.5) / count * length
    inside = (places >= start) & (places < end)
    at = np.clip((places - start) / (end - start) * cells - 0.5, 0, cells - 1)
    lower = np.minimum(at.astype(int), max(cells - 2, 0))
    upper = np.minimum(lower + 1, cells - 1)
    weights = np.zeros((count, cells), np.float32)
    steps = np.arange(count)
    weights[steps, lower] = 1 - (at - lower)
    weights[steps, upper] += at - lower
    return weights * inside[:, None]


def _middle(cell: int, cells: int, start: float, end: float) -> float:
    return start + (cell + 0.5) / cells * (end - start)


def _connected(mask: np.ndarray) -> list[np.ndarray]:
    """The parts of a boolean array that hang together by their sides, each as its (row, column) pairs [n, 2]."""
    left = mask.copy()
    parts = []
    for start in np.argwhere(mask):
        if not left[tuple(start)]:
            continue
        left[tuple(start)] = False
        part, waiting = [], [(int(start[0]), int(start[1]))]
        while waiting:
            row, column = waiting.pop()
            part.append((row, column))
            for near in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
                if 0 <= near[0] < mask.shape[0] and 0 <= near[1] < mask.shape[1] and left[near]:
                    left[near] = False
                    waiting.append(near)
        parts.append(np.array(part))
    return parts
