"""Pixels in any mode, array or tensor as a PIL image in mode RGB."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PIL import Image

from ..errors import ImageError

_FLOAT_OVERSHOOT = 0.25
"""How far floating point values may leave 0..1 and be clipped: bicubic resizing of edges goes that far."""

_ACCEPTED = "uint8 from 0 to 255 and floating point from 0 to 1"


def to_rgb(image: Image.Image, label: str) -> Image.Image:
    """A new image in mode RGB, transparent parts laid over white; `label` begins the error messages.

    Greys deeper than 8 bits are scaled, see `open_image`. Raises ImageError for greys that are not finite,
    and whatever Pillow raises for what it cannot convert.
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return _deep_grey_to_rgb(image, label)
    if image.mode == "LAB":
        return _lab_to_rgb(image)
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in ("RGBA", "RGBa", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


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
    values = array.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ImageError(f"{label} is an array with NaN or infinite values", f"give {_ACCEPTED}")
    if low < -_FLOAT_OVERSHOOT or high > 1 + _FLOAT_OVERSHOOT:
        bytes_as_floats = low >= 0 and high <= 255
        raise ImageError(
            f"{label} is a floating point array from {low:.3g} to {high:.3g}, but accepted are {_ACCEPTED}",
            "divide it by 255" if bytes_as_floats else "scale it to 0 to 1",
        )
    return np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)


def _deep_grey_to_rgb(image: Image.Image, label: str) -> Image.Image:
    raw = np.asarray(image)
    low, high = float(raw.min()), float(raw.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ImageError(f"{label} holds NaN or infinite values", "save it again without them")
    full = next((full for full in _full_scales(image) if low >= 0 and high <= full), None)
    values = raw
    if full is None:
        values, full = raw.astype(np.float64) - low, (high - low) or 1
    grey = np.rint(values / full * 255).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[raw == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


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
