"""A part of a picture in place of the whole: what a mask or a box leaves of it."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from ..errors import ImageError
from ..images import PAD_COLOR


def cropped(picture: Image.Image, box: Sequence[float]) -> Image.Image:
    """box: left, top, width, height in pixels; what lies outside the picture is left out.

    Raises ImageError where nothing remains."""
    left, top, width, height = (round(edge) for edge in box)
    edges = max(0, left), max(0, top), min(picture.width, left + width), min(picture.height, top + height)
    if edges[0] >= edges[2] or edges[1] >= edges[3]:
        raise ImageError(
            f"The crop leaves nothing of a picture of {picture.width} x {picture.height} pixels",
            "give left, top, width and height in its pixels",
        )
    return picture.crop(edges)


def masked(picture: Image.Image, mask: Image.Image) -> Image.Image:
    """What a mask shows of a picture: a square around its white parts, all else in CLIP's mean colour.

    mask: any picture, white where it counts; resized to the picture. Half-white counts by half.
    Raises ImageError for a mask without white."""
    shown = mask.convert("L").resize(picture.size, Image.Resampling.BILINEAR)
    box = shown.point([0] * 128 + [255] * 128).getbbox()
    if box is None:
        raise ImageError("The mask is black all over", "paint what counts white")
    alone = Image.composite(picture, Image.new("RGB", picture.size, PAD_COLOR), shown)
    side = max(box[2] - box[0], box[3] - box[1])
    left, top = (box[0] + box[2] - side) // 2, (box[1] + box[3] - side) // 2
    square = Image.new("RGB", (side, side), PAD_COLOR)
    square.paste(alone, (-left, -top))
    return square
