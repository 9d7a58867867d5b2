"""A picture as a vision tower wants it: resized, cropped, normalised.

Written with Pillow and numpy, and tested equal to open_clip's own transform, so that neither torchvision nor a
processor's backend decides what a model sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
from PIL import Image

from ..foreign import Unreadable, shown

if TYPE_CHECKING:
    from torch import Tensor

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

_LARGEST_SIDE = 4096
_MOST_RESIZED = 4096 * 4096
"""Pixels. Beyond, which takes a strip hundreds of times as long as it is wide, what the model does not see of a picture
is not resized either; at the edges of what it sees that is not quite the same."""

ResizeMode = Literal["shortest", "squash", "longest"]


class Region(NamedTuple):
    """Part of a picture, in its pixels from its upper left corner; may reach beyond it."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Preprocess:
    """size: (height, width) in pixels.
    resize_mode: bring the shortest side to size and crop the centre, squash to size, or bring the longest side to size
    and pad with black; always with Pillow's antialiased resampling."""

    size: tuple[int, int] = (224, 224)
    mean: tuple[float, ...] = CLIP_MEAN
    std: tuple[float, ...] = CLIP_STD
    resample: Image.Resampling = Image.Resampling.BICUBIC
    resize_mode: ResizeMode = "shortest"

    def __call__(self, image: Image.Image) -> Tensor:
        """RGB picture -> float32 [3, height, width]."""
        import torch

        pixels = np.asarray(self._fit(image if image.mode == "RGB" else image.convert("RGB")), dtype=np.uint8)
        unit = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float().div(255)
        mean, std = (torch.tensor(values)[:, None, None] for values in (self.mean, self.std))
        return unit.sub_(mean).div_(std)

    @classmethod
    def from_open_clip(cls, config: Mapping[str, Any]) -> Preprocess:
        """From an open_clip preprocess_cfg (size, mean, std, interpolation, resize_mode). Raises Unreadable."""
        interpolation = str(config.get("interpolation") or "bicubic").upper()
        if interpolation not in Image.Resampling.__members__:
            raise Unreadable(f"there is no interpolation {shown(interpolation)}")
        mode = config.get("resize_mode") or "shortest"
        if mode not in get_args(ResizeMode):
            raise Unreadable(f"there is no resize_mode {shown(str(mode))}")
        return cls(
            _pair(config.get("size") or 224),
            _three(config.get("mean") or CLIP_MEAN, "mean"),
            _three(config.get("std") or CLIP_STD, "std"),
            Image.Resampling[interpolation],
            mode,
        )

    @classmethod
    def from_transformers(cls, config: Mapping[str, Any]) -> Preprocess:
        """From the values of a preprocessor_config.json. Raises Unreadable."""
        size = config.get("crop_size") if config.get("do_center_crop", False) else None
        size = size or config.get("size", 224)
        resample = config.get("resample", Image.Resampling.BICUBIC)
        if not isinstance(resample, int) or resample not in list(Image.Resampling):
            raise Unreadable(f"there is no resample {shown(str(resample))}")
        return cls(
            _pair(size),
            _three(config.get("image_mean") or CLIP_MEAN, "image_mean"),
            _three(config.get("image_std") or CLIP_STD, "image_std"),
            Image.Resampling(resample),
            "shortest" if config.get("do_center_crop", False) else "squash",
        )

    def region(self, size: tuple[int, int]) -> Region:
        """What the model sees of a picture of this (width, height)."""
        (width, height), (left, top) = self._plan(size)
        across, down = size[0] / width, size[1] / height
        rows, columns = self.size
        return Region(left * across, top * down, (left + columns) * across, (top + rows) * down)

    def _fit(self, image: Image.Image) -> Image.Image:
        resized, (left, top) = self._plan(image.size)
        height, width = self.size
        if resized[0] * resized[1] <= _MOST_RESIZED:
            return image.resize(resized, self.resample).crop((left, top, left + width, top + height))
        across, down = image.width / resized[0], image.height / resized[1]  # a strip: no more of it than is seen
        right, bottom = min(image.width, (left + width) * across), min(image.height, (top + height) * down)
        return image.resize((width, height), self.resample, (left * across, top * down, right, bottom))

    def _plan(self, size: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
        """The (width, height) to resize to, and the (left, top) of the model's window on that."""
        height, width = self.size
        if self.resize_mode == "squash":
            return (width, height), (0, 0)
        shortest = self.resize_mode == "shortest"
        if shortest and height == width:
            resized = _shortest_side(size, height)
        else:
            ratios = size[1] / height, size[0] / width
            ratio = min(ratios) if shortest else max(ratios)
            resized = max(1, round(size[0] / ratio)), max(1, round(size[1] / ratio))
        return resized, (_margin(resized[0], width), _margin(resized[1], height))


def centre_square(size: tuple[int, int]) -> Region:
    """The largest square in the middle of a picture of this (width, height)."""
    width, height = size
    side = min(size)
    left, top = (width - side) / 2, (height - side) / 2
    return Region(left, top, left + side, top + side)


def _shortest_side(size: tuple[int, int], target: int) -> tuple[int, int]:
    width, height = size
    if width <= height:
        return target, int(target * height / width)
    return int(target * width / height), target


def _margin(length: int, target: int) -> int:
    """Where the centre crop begins; negative where padding is needed, less of it in front when it is odd."""
    return round((length - target) / 2) if length > target else -((target - length) // 2)


def _pair(size: Any) -> tuple[int, int]:
    """(height, width) from what any library writes. Raises Unreadable."""
    if isinstance(size, Mapping):
        size = [size.get("shortest_edge")] if "shortest_edge" in size else [size.get("height"), size.get("width")]
    sides: list[Any] = list(size) if isinstance(size, Sequence) and not isinstance(size, str) else [size]
    if not 1 <= len(sides) <= 2 or not all(type(side) is int and 1 <= side <= _LARGEST_SIDE for side in sides):
        raise Unreadable(f"a model's pictures are not of the size {shown(str(size))}")
    return sides[0], sides[-1]


def _three(values: Any, name: str) -> tuple[float, ...]:
    """A number for each colour. Raises Unreadable."""
    given = list(values) if isinstance(values, Sequence) else []
    if len(given) != 3 or not all(isinstance(each, int | float) and abs(each) < 1e6 for each in given):
        raise Unreadable(f"its {name} are not three numbers")
    if name.endswith("std") and not all(each > 0 for each in given):
        raise Unreadable(f"its {name} holds what is not above 0")
    return tuple(map(float, given))
