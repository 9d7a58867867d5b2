"""Pictures and masks as the nodes of a graph give them: each by itself, looked over before anything is loaded, and
opened when it is its turn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeGuard

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..core.errors import ImageError
from ..core.images import open_image
from ..core.micro.toy import TOY, is_lost

_CHANNELS = (1, 3, 4)
_FAR_BEYOND_WHITE = 2.0


def each_picture(value: Any, name: str = "image") -> list[Any]:
    """The pictures of an IMAGE, for `opened`: no copies, [height, width, channels] each.

    Beside a batch [pictures, height, width, channels]: videos [videos, frames, height, width, channels], one picture
    alone, greys without channels, and lists of all these. name: the input that the value is connected to.
    Raises ImageError where there is no picture, or one without colours.
    """
    return _looked_over([_channels_last(picture) for picture in _apart(value, name)], name)


def each_mask(value: Any, name: str = "mask") -> list[Any]:
    """The masks of a MASK [masks, height, width], for `opened`, each a grey picture."""
    if not _holds_values(value):
        raise _no_picture(name)
    if value.ndim == 4 and 1 in (value.shape[1], value.shape[3]):
        value = value.squeeze(3 if value.shape[3] == 1 else 1)
    if not value.is_floating_point() and value.numel() and int(value.max()) <= 1:
        value = value > 0
    masks = list(value) if value.ndim in (3, 4) else [value]
    return _looked_over([_channels_last(mask) for mask in masks], name)


def size_of(picture: Any) -> tuple[int, int]:
    """Width and height of one of these."""
    return picture.size if isinstance(picture, Image.Image) else (picture.shape[1], picture.shape[0])


def toy_note(model: str | None, pictures: Iterable[Any], chosen: str = "clip in Load Interrogator") -> list[str]:
    """What is to be said beside a result that micro has of pictures which it cannot know. chosen: where it was."""
    return [f"{TOY} Choose another {chosen}."] if is_lost(model, map(size_of, pictures)) else []


def opened(picture: Any) -> Image.Image:
    """One of these in mode RGB. What is beyond black or white is taken for that, as by ComfyUI's own nodes: resizing,
    sharpening and decoding overshoot."""
    if isinstance(picture, Tensor) and picture.dtype is not torch.uint8:
        picture = picture.detach().float().clamp(0, 1)
    return open_image(picture)


def _apart(value: Any, name: str) -> list[Any]:
    if isinstance(value, list | tuple):
        return [picture for each in value for picture in _apart(each, name)]
    if isinstance(value, Image.Image):
        return [value]
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        value = torch.as_tensor(_plain(value))
    if not _holds_values(value):
        raise _no_picture(name)
    if value.ndim == 5:
        return list(value.flatten(0, 1))
    greys = value.ndim == 3 and value.shape[2] not in _CHANNELS and value.shape[0] not in _CHANNELS
    return list(value) if value.ndim == 4 or greys else [value]


def _holds_values(value: Any) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor) and value.layout is torch.strided and not value.is_meta and not value.is_nested


def _plain(array: np.ndarray) -> np.ndarray:
    """One that torch takes, copied where it must be: arrays may be turned around, or in another byte order."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    return np.require(native, requirements=["C", "W"])


def _channels_last(picture: Any) -> Any:
    if not isinstance(picture, Tensor):
        return picture
    if picture.ndim == 2:
        return picture[:, :, None]
    first = picture.ndim == 3 and picture.shape[2] not in _CHANNELS and picture.shape[0] in _CHANNELS
    return picture.movedim(0, 2) if first else picture


def _looked_over(pictures: list[Any], name: str) -> list[Any]:
    if not pictures:
        raise ImageError(f"There is no picture in what is connected to {name}", "connect one or more")
    for number, picture in enumerate(pictures, 1):
        which = f"Picture {number} of {len(pictures)}" if len(pictures) > 1 else "What is"
        if isinstance(picture, Tensor):
            _check(picture, f"{which} connected to {name}")
    return pictures


def _check(picture: Tensor, label: str) -> None:
    if picture.ndim != 3 or picture.shape[2] not in _CHANNELS or not picture.numel():
        raise ImageError(
            f"{label} has the shape {list(picture.shape)}", "connect pictures of height, width and 1, 3 or 4 channels"
        )
    if picture.dtype in (torch.uint8, torch.bool):
        return
    if not picture.is_floating_point():
        raise ImageError(
            f"{label} holds values of the type {str(picture.dtype).removeprefix('torch.')}",
            "convert it to float from 0 to 1, or to uint8 from 0 to 255",
        )
    low, high = (float(value) for value in picture.detach().float().aminmax())
    if high != high:  # as only NaN is
        raise ImageError(
            f"{label} holds NaN, which is no colour; half precision gives it when a VAE decodes too large values",
            "let the VAE run in float32",
        )
    if low >= 0 and high > _FAR_BEYOND_WHITE and bool((picture > _FAR_BEYOND_WHITE).float().mean() > 0.5):
        raise ImageError(
            f"{label} holds values from {low:.3g} to {high:.3g}, and nearly all would be white, which is 1",
            "divide it by 255" if high <= 255 else "scale it to 0 to 1",
        )


def _no_picture(name: str) -> ImageError:
    return ImageError(f"What is connected to {name} is no picture", "connect a node that gives one")
