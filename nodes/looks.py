"""What a node looks at: pictures, or what CLIP Vision Encode has seen of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from PIL import Image

from ..core.embed.region import masked
from ..core.embed.seen import Seen
from ..core.errors import ImageError, SettingsError
from ..core.prompt.together import unequal
from . import host
from .host import io
from .models import Setup, default_setup
from .taken import each_mask, each_picture, opened, size_of

PICTURES = [io.Image, io.ClipVisionOutput]
"""The types of an input that takes either."""


def looked_at(value: Any) -> list[Any] | Seen:
    """The pictures of an IMAGE, for `opened`; or what is in a CLIP_VISION_OUTPUT."""
    embeddings = host.seen_embeddings(value)
    return each_picture(value) if embeddings is None else Seen.of(embeddings)


def in_turn(looks: list[Any] | Seen) -> Iterator[Image.Image] | Seen:
    """The same for an engine, of which a picture at a time is opened."""
    return looks if isinstance(looks, Seen) else map(opened, looks)


def setup_for(looks: list[Any] | Seen) -> Setup:
    """For nodes without an INTERROGATOR: with the CLIP that has seen the pictures, where they have been seen. Raises
    ModelError where that is not known."""
    if not isinstance(looks, Seen):
        return default_setup()
    from .graph_clip import clip_of_width

    return default_setup(clip_of_width(looks.features.shape[-1]))


def opened_looks(value: Any, name: str, mask: Any = None) -> list[Image.Image] | Seen:
    """The same, all opened, of each picture what a MASK leaves. name: the input that the value is connected to."""
    embeddings = host.seen_embeddings(value)
    if embeddings is None:
        return [opened(each) for each in each_picture(value, name)] if mask is None else shown_by(mask, value)
    if mask is not None:
        raise SettingsError(
            f"A mask shows a part of a picture, but what is connected to {name} has been seen as a whole",
            "connect the picture itself",
        )
    return Seen.of(embeddings)


def pictures_alone(values: Any) -> list[Any]:
    """The pictures of an IMAGE or several, for `opened`, where what was seen of them would not do."""
    if any(host.seen_embeddings(value) is not None for value in (values if isinstance(values, list) else [values])):
        raise ImageError(
            "What is connected to image is no picture, but what a vision model saw in one", "connect the picture itself"
        )
    return each_picture(values)


def pictures_of_one_size(value: Any) -> list[Any]:
    """The same, for what is to become one batch again."""
    pictures = pictures_alone(value)
    if len({size_of(picture) for picture in pictures}) > 1:
        raise ImageError("The pictures connected to image differ in size", "connect those of one size at a time")
    return pictures


def shown_by(mask: Any, image: Any) -> list[Image.Image]:
    """What MASK [masks, height, width] leaves of each picture of an IMAGE: one mask for all, or one for each."""
    masks, pictures = each_mask(mask), each_picture(image)
    if len(masks) not in (1, len(pictures)):
        raise SettingsError(unequal(len(masks), "masks", len(pictures)), "give one for each, or one for all")
    shown = [opened(each) for each in masks] * (len(pictures) if len(masks) == 1 else 1)
    return [masked(opened(picture), each) for picture, each in zip(pictures, shown, strict=True)]
