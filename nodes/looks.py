"""What a node looks at: pictures, or what CLIP Vision Encode has seen of them."""

from __future__ import annotations

from typing import Any

from ..core.embed.region import masked
from ..core.embed.seen import Seen
from ..core.errors import SettingsError
from ..core.images import open_image
from . import host
from .host import io

PICTURES = [io.Image, io.ClipVisionOutput]
"""The types of an input that takes either."""


def looked_at(value: Any, mask: Any = None) -> list[Any] | Seen:
    """The pictures of an IMAGE, of each what a MASK leaves; or what is in a CLIP_VISION_OUTPUT."""
    embeddings = host.seen_embeddings(value)
    if embeddings is None:
        return list(value) if mask is None else shown_by(mask, value)
    if mask is not None:
        raise SettingsError(
            "A mask shows a part of a picture, but what is connected to image has been seen as a whole",
            "connect the picture itself",
        )
    return Seen.of(embeddings)


def shown_by(mask: Any, image: Any) -> list[Any]:
    """What MASK [masks, height, width] leaves of each picture of an IMAGE: one mask for all, or one for each."""
    if len(mask) not in (1, len(image)):
        raise SettingsError(
            f"There are {len(mask)} masks for {len(image)} pictures", "give one for each, or one for all"
        )
    masks = [open_image(each) for each in mask] * (len(image) if len(mask) == 1 else 1)
    return [masked(open_image(picture), each) for picture, each in zip(image, masks, strict=True)]
