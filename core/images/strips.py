"""A decoded picture in mode RGB, upright and not larger than is kept: strip by strip, so that there is never a second
picture of its size in another mode."""

from __future__ import annotations

import math
from collections.abc import Iterator

from PIL import Image

from .pixels import in_rgb

MOST_KEPT = 8192 * 8192
"""Pictures with more pixels, which no camera in common use takes, are reduced as they are read."""

_AS_REDUCED = 4096 * 4096
"""How many pixels are left of them at most: far more than any model sees."""

_STRIP_PIXELS = 1 << 20
_ORIGINAL_SIZE = "unrender original size"

_TURNED = (Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90)
_FROM_THE_RIGHT = (Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE)
_FROM_BELOW = (Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM)


def original_size(image: Image.Image) -> tuple[int, int]:
    """The (width, height) of the file that a picture was read from, upright: larger than its own where it was
    reduced."""
    return image.info.get(_ORIGINAL_SIZE, image.size)


def reduction(size: tuple[int, int]) -> int:
    """By how much the sides of a picture of this (width, height) are divided: 1 unless it is a giant."""
    pixels = size[0] * size[1]
    return 1 if pixels <= MOST_KEPT else math.ceil(math.sqrt(pixels / _AS_REDUCED))


def upright_rgb(
    image: Image.Image, label: str, turn: Image.Transpose | None, original: tuple[int, int] | None = None
) -> Image.Image:
    """A new picture in mode RGB without metadata.

    turn: what brings it upright. original: of one that was decoded for this and has no other use, its size before the
    decoder reduced it. Raises what `in_rgb` does."""
    width, height = size = image.size
    convert = in_rgb(image, label)
    factor = reduction(size)
    if image.mode == "RGB" and factor == 1 and "transparency" not in image.info:
        result = image.transpose(turn) if turn is not None else image.copy() if original is None else _apart(image)
    else:
        factors = min(factor, width), min(factor, height)
        reduced = -(-width // factors[0]), -(-height // factors[1])
        result = Image.new("RGB", _turned(reduced, turn))
        for top, strip in _strips(image, factors[1]):
            strip = convert(strip)
            if factor > 1:
                strip = strip.reduce(factors)
            if turn is not None:
                strip = strip.transpose(turn)
            result.paste(strip, _place(strip.size, result.size, top // factors[1], turn))
    result.info = {}  # an orientation left here would be applied once more by whoever reads the result
    if (original := original or size) != image.size or factor > 1:
        result.info[_ORIGINAL_SIZE] = _turned(original, turn)
    return result


def _apart(image: Image.Image) -> Image.Image:
    """The pixels without the file they came from: no copy where they are not the file's own memory."""
    return image.copy() if image.readonly else image._new(image.im)


def _strips(image: Image.Image, multiple: int) -> Iterator[tuple[int, Image.Image]]:
    """Strips of about `_STRIP_PIXELS`, a multiple of rows high but for the last, and where each begins."""
    width, height = image.size
    rows = max(1, _STRIP_PIXELS // (width * multiple)) * multiple
    for top in range(0, height, rows):
        yield top, image.crop((0, top, width, min(top + rows, height)))


def _turned(size: tuple[int, int], turn: Image.Transpose | None) -> tuple[int, int]:
    return (size[1], size[0]) if turn in _TURNED else size


def _place(size: tuple[int, int], whole: tuple[int, int], before: int, turn: Image.Transpose | None) -> tuple[int, int]:
    """The upper left corner of a turned strip in the whole. before: how many rows were above it, before the turn."""
    if turn in _TURNED:
        return (whole[0] - before - size[0] if turn in _FROM_THE_RIGHT else before), 0
    return 0, (whole[1] - before - size[1] if turn in _FROM_BELOW else before)
