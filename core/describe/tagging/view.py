"""What a tagger sees of a picture, as its publisher says.

Taggers in the layout of SmilingWolf's say nothing of it but size, mean and deviation: the picture is laid on a white
square, made smaller or larger by a bicubic filter, and its channels are given in the order blue, green, red. A
`preprocess.json` beside the weights, as animetimm's have it, says each step, and the order is red, green, blue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ...errors import ModelError
from ...foreign import WHOLE_AGAIN, Unreadable, read_json, shown
from ...published import CONFIG, PREPROCESS

if TYPE_CHECKING:
    import torch

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
_LARGEST_SIDE = 2048
_HALF = (0.5, 0.5, 0.5)
_ORDERS = ("rgb", "bgr")


@dataclass(frozen=True)
class Padded:
    """The whole picture in the middle of a white area of that size: width, height."""

    size: tuple[int, int]
    resampling: Image.Resampling

    def __call__(self, image: Image.Image) -> Image.Image:
        scale = min(self.size[0] / image.width, self.size[1] / image.height)
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        return _on_white(image.resize(size, self.resampling), self.size)


@dataclass(frozen=True)
class Squared:
    """On a white square as large as its longer side, which then is brought to a size."""

    size: tuple[int, int]
    resampling: Image.Resampling

    def __call__(self, image: Image.Image) -> Image.Image:
        width, height = image.size
        if width > height:
            # Pillow goes along the rows first, and need not do so along those that are all white
            image = _on_white(image.resize((self.size[0], height), self.resampling), (self.size[0], width))
        elif width < height:
            image = _on_white(image, (height, height))
        return image if image.size == self.size else image.resize(self.size, self.resampling)


@dataclass(frozen=True)
class Resized:
    """To a size, or the shorter side to a length."""

    size: tuple[int, int] | int
    resampling: Image.Resampling

    def __call__(self, image: Image.Image) -> Image.Image:
        size = self.of(image.size)
        return image if size in (image.size, None) else image.resize(size, self.resampling)

    def of(self, size: tuple[int, int] | None) -> tuple[int, int] | None:
        """What a picture of that size becomes; None where neither is known."""
        if not isinstance(self.size, int) or size is None:
            return None if isinstance(self.size, int) else self.size
        width, height = (max(1, int(self.size * side / min(size))) for side in size)
        return width, height


@dataclass(frozen=True)
class Cropped:
    """The middle of that size."""

    size: tuple[int, int]

    def __call__(self, image: Image.Image) -> Image.Image:
        if image.size == self.size:
            return image
        left, top = round((image.width - self.size[0]) / 2), round((image.height - self.size[1]) / 2)
        return image.crop((left, top, left + self.size[0], top + self.size[1]))


Step = Padded | Squared | Resized | Cropped


@dataclass(frozen=True)
class View:
    """size: width, height. mean, deviation: of red, green, blue in 0..1. swapped: blue comes first."""

    size: tuple[int, int]
    steps: tuple[Step, ...]
    mean: tuple[float, ...] = _HALF
    deviation: tuple[float, ...] = _HALF
    swapped: bool = True

    def seen(self, image: Image.Image) -> np.ndarray:
        """What is kept of an RGB picture: uint8 [height, width, 3], in red, green, blue."""
        for step in self.steps:
            image = step(image)
        return np.array(image if image.mode == "RGB" else image.convert("RGB"))

    def batch(self, seen: Sequence[np.ndarray], device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        """What the model takes: [pictures, 3, height, width]. Bytes are brought to the device, and made numbers there
        in float32."""
        import torch

        pixels = torch.from_numpy(np.stack(seen)).to(device).permute(0, 3, 1, 2).float()
        mean, deviation = (torch.tensor(each, device=device)[:, None, None] for each in (self.mean, self.deviation))
        values = (pixels / 255 - mean) / deviation
        return (values.flip(1) if self.swapped else values).to(dtype).contiguous()


def view_of(folder: Path, config: Mapping[str, Any]) -> View:
    """By preprocess.json where there is one, else by the `pretrained_cfg` of timm's configuration.

    The order of the channels: `channel_order` in `pretrained_cfg` ("RGB" or "BGR") where it is said; RGB by a
    preprocess.json; BGR for mean and deviation .5, as SmilingWolf's; RGB for others, which timm's own training made.
    Raises ModelError."""
    told = config.get("pretrained_cfg") or {}
    path = folder / CONFIG
    try:
        if not isinstance(told, dict):
            raise Unreadable("its pretrained_cfg is no object")
        if not (folder / PREPROCESS).is_file():
            return _of_config(told)
        path = folder / PREPROCESS
        return _of_steps(read_json(path).get("test"), told)
    except Unreadable as error:
        raise ModelError(f"{path} does not say how pictures are shown to the tagger ({error})", WHOLE_AGAIN) from error


def _of_config(told: Mapping[str, Any]) -> View:
    channels, height, width = _numbers(told, "input_size", 3)
    if channels != 3:
        raise Unreadable(f"its input_size has {channels:g} channels")
    size = _size([height, width], "input_size")
    mean = _numbers(told, "mean", 3, _HALF)
    deviation = _numbers(told, "std", 3, _HALF)
    filter_ = _filter(told.get("interpolation", "bicubic"))
    return View(size, (Squared(size, filter_),), mean, _positive(deviation), _swapped(told, mean, deviation))


def _swapped(told: Mapping[str, Any], mean: tuple[float, ...], deviation: tuple[float, ...]) -> bool:
    order = _order(told)
    return mean == deviation == _HALF if order is None else order == "bgr"


def _order(told: Mapping[str, Any]) -> str | None:
    order = told.get("channel_order")
    if order is not None and (not isinstance(order, str) or order.casefold() not in _ORDERS):
        raise Unreadable(f"its channel_order is {shown(str(order))!r}, neither RGB nor BGR")
    return None if order is None else order.casefold()


def _of_steps(told: Any, config: Mapping[str, Any]) -> View:
    if not isinstance(told, list) or not all(isinstance(each, dict) for each in told) or len(told) > 16:
        raise Unreadable("it has no list of steps named test")
    steps: list[Step] = []
    mean = deviation = _HALF
    for each in told:
        kind = each.get("type")
        if kind == "normalize":
            mean, deviation = _numbers(each, "mean", 3), _positive(_numbers(each, "std", 3))
        elif kind not in ("maybe_to_tensor", "to_tensor"):
            steps.append(_step(kind, each))
    return View(_size_after(steps), tuple(steps), mean, deviation, _order(config) == "bgr")


def _size_after(steps: Sequence[Step]) -> tuple[int, int]:
    """That of all pictures. Raises Unreadable where it differs with theirs."""
    size: tuple[int, int] | None = None
    for step in steps:
        size = step.of(size) if isinstance(step, Resized) else step.size
    if size is None:
        raise Unreadable("none of its steps gives all pictures one size")
    return size


def _step(kind: Any, told: Mapping[str, Any]) -> Step:
    size = told.get("size")
    if kind == "pad_to_size":
        if told.get("background_color", "white") != "white":
            raise Unreadable("it lays pictures on another colour than white")
        return Padded(_size(size, "pad_to_size"), _filter(told.get("interpolation", "bilinear")))
    if kind == "resize" and told.get("max_size") is None:
        side = size[0] if isinstance(size, list) and len(size) == 1 else size
        sides = _size(side, "resize")
        return Resized(sides[0] if isinstance(side, int) else sides, _filter(told.get("interpolation", "bilinear")))
    if kind == "center_crop":
        return Cropped(_size(size, "center_crop"))
    raise Unreadable(f"it has the step {shown(str(kind))!r}, which is not known here")


def _numbers(
    told: Mapping[str, Any], name: str, count: int, usual: tuple[float, ...] | None = None
) -> tuple[float, ...]:
    found = told.get(name, usual)
    if not isinstance(found, list | tuple) or len(found) != count:
        raise Unreadable(f"it has no {name} of {count} numbers")
    if not all(isinstance(each, int | float) and abs(each) < 1e6 for each in found):
        raise Unreadable(f"its {name} is not of numbers")
    return tuple(map(float, found))


def _positive(values: tuple[float, ...]) -> tuple[float, ...]:
    if min(values) <= 0:
        raise Unreadable("its std has a number that is not above 0")
    return values


def _size(told: Any, name: str) -> tuple[int, int]:
    """width, height; files have height, width, or one number."""
    sides = [told, told] if isinstance(told, int) else told
    if (
        not isinstance(sides, list)
        or len(sides) != 2
        or not all(isinstance(each, int | float) and 1 <= each <= _LARGEST_SIDE for each in sides)
    ):
        raise Unreadable(f"its size for {name} is {shown(str(told))}")
    return int(sides[1]), int(sides[0])


def _filter(name: Any) -> Image.Resampling:
    found = _FILTERS.get(name) if isinstance(name, str) else None
    if found is None:
        raise Unreadable(f"its interpolation is {shown(str(name))!r}")
    return found


def _on_white(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    canvas = Image.new("RGB", size, "white")
    canvas.paste(image, ((size[0] - image.width) // 2, (size[1] - image.height) // 2))
    return canvas
