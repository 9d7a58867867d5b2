"""Pixels in any mode, array or tensor as a PIL image in mode RGB."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from ..errors import ImageError

_FLOAT_OVERSHOOT = 0.25
"""How far floating point values may leave 0..1 and be clipped: bicubic resizing of edges goes that far."""

_VALUES_AT_ONCE = 1 << 20
_GREYS_OF_16_BITS = np.rint(np.arange(65536) / 65535 * 255).astype(np.uint8)

_ACCEPTED = "uint8 from 0 to 255 and floating point from 0 to 1"


Converter = Callable[[Image.Image], Image.Image]
"""A part of a picture in its own mode -> the same part in mode RGB or L."""


def in_rgb(image: Image.Image, label: str) -> Converter:
    """What brings any part of a picture to mode RGB, or to L where it is grey; transparent parts are laid over white;
    `label` begins the error messages. What depends on the whole picture is found out here, a strip at a time.

    Greys deeper than 8 bits are scaled, see `open_image`. Raises ImageError for greys that are not finite, and the
    converter whatever Pillow raises for what it cannot convert.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return _deep_grey(image, label)
    if image.mode == "LAB":
        return _lab_to_rgb
    if image.mode == "P" and "transparency" in image.info:
        return _palette_over_white(image)
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        return _over_white
    return lambda part: part if part.mode in ("RGB", "L") else part.convert("RGB")


def _palette_over_white(image: Image.Image) -> Converter:
    """Lays 256 colours over white instead of every pixel."""
    indices = image.resize((256, 1))
    indices.putdata(range(256))
    palette = _over_white(indices).tobytes()

    def convert(part: Image.Image) -> Image.Image:
        part.putpalette(palette)
        del part.info["transparency"]
        return part.convert("RGB")

    return convert


def _over_white(part: Image.Image) -> Image.Image:
    if part.mode == "La":
        part = part.convert("LA")
    part = part.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", part.size, "white"), part).convert("RGB")


def tensor_to_array(tensor: Any) -> np.ndarray:
    """The values of a torch tensor on any device, of any floating point type."""
    tensor = tensor.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()  # NumPy has no bfloat16
    return tensor.numpy()


def array_to_image(array: np.ndarray, label: str) -> Image.Image:
    """An image in mode L, RGB or RGBA from the shapes and ranges that `open_image` lists.

    Raises ImageError for all others; `label` begins its messages.
    """
    shape = array.shape
    if array.ndim == 4 and shape[0] != 1:
        raise ImageError(f"{label} is a batch of {shape[0]} pictures", "give them one at a time")
    if array.ndim == 4:
        array = array[0]
    if array.ndim == 3 and array.shape[2] not in (1, 3, 4) and array.shape[0] in (1, 3, 4):
        array = np.moveaxis(array, 0, 2)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] not in (3, 4)):
        raise ImageError(
            f"{label} is an array of the shape {tuple(shape)}",
            "give (height, width), (height, width, channels) or (channels, height, width) with 1, 3 or 4 channels",
        )
    if array.size == 0:
        raise ImageError(f"{label} is an array without values, of the shape {tuple(shape)}", "give a picture")
    return Image.fromarray(np.ascontiguousarray(_to_uint8(array, label)))


def _to_uint8(array: np.ndarray, label: str) -> np.ndarray:
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise ImageError(f"{label} is an array of {array.dtype} values", f"convert it to {_ACCEPTED}")
    low, high = float(array.min()), float(array.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ImageError(f"{label} is an array with NaN or infinite values", f"give {_ACCEPTED}")
    if low < -_FLOAT_OVERSHOOT or high > 1 + _FLOAT_OVERSHOOT:
        bytes_as_floats = low >= 0 and high <= 255
        raise ImageError(
            f"{label} is a floating point array from {low:.3g} to {high:.3g}, but accepted are {_ACCEPTED}",
            "divide it by 255" if bytes_as_floats else "scale it to 0 to 1",
        )
    result = np.empty(array.shape, np.uint8)
    rows = max(1, _VALUES_AT_ONCE // max(1, array[0].size))
    for top in range(0, len(array), rows):  # each step would else be a picture of its own
        part = array[top : top + rows].astype(np.float32)
        result[top : top + rows] = np.rint(np.clip(part, 0, 1) * 255)
    return result


def _deep_grey(image: Image.Image, label: str) -> Converter:
    if image.mode.startswith("I;16"):  # a table is much faster than a division for each pixel
        low, high = 0.0, 65535.0
    else:
        low, high = _range(image)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ImageError(f"{label} holds NaN or infinite values", "save it again without them")
    full = next((full for full in _full_scales(image) if low >= 0 and high <= full), None)
    table = _GREYS_OF_16_BITS if image.mode.startswith("I;16") else None
    transparent = image.info.get("transparency")

    def convert(part: Image.Image) -> Image.Image:
        raw = np.asarray(part)
        if table is not None:
            grey = table.take(raw)
        elif full is not None:
            grey = np.rint(raw / full * 255).astype(np.uint8)
        else:
            grey = np.rint((raw.astype(np.float64) - low) / ((high - low) or 1) * 255).astype(np.uint8)
        if isinstance(transparent, int):
            grey[raw == transparent] = 255
        return Image.fromarray(grey)

    return convert


def _range(image: Image.Image) -> tuple[float, float]:
    """The lowest and the highest value, NaN where one is not a number."""
    rows = max(1, _VALUES_AT_ONCE // image.width)
    lows, highs = [], []
    for top in range(0, image.height, rows):
        raw = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
        lows.append(float(raw.min()))
        highs.append(float(raw.max()))
    return float(np.min(lows)), float(np.max(highs))


def _full_scales(image: Image.Image) -> tuple[int, ...]:
    """The ranges which greys in this mode commonly span, the smallest first."""
    if image.mode == "F":
        return (1, 255, 65535)
    if image.mode == "I" and image.format is None:  # made in memory, where `convert("I")` keeps 8-bit values
        return (255, 65535)
    return (65535,)


def _lab_to_rgb(image: Image.Image) -> Image.Image:
    from PIL import ImageCms  # absent from a Pillow built without littleCMS

    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None  # it is None only for a conversion in place
    return converted
