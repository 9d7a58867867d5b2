"""What a picture may cost, told by its header before it is decoded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, BinaryIO

from PIL import Image

from ..errors import ImageError
from .sieve import jpeg_scans
from .strips import MOST_KEPT, reduction

MAX_PIXELS = 178_956_970
"""Pictures with more pixels are refused before they are decoded. It is what Pillow refuses by default, held
here because hosts change Pillow's own limit."""

MOST_ALONG = 1 << 22
"""Pixels of a side. Pillow holds eight bytes for each row, beside its pixels."""

MOST_BYTES = 1 << 30
"""Of a file that is given as a stream, or whose decoder wants all of it at once."""

_FEW_PIXELS = 1 << 20
"""So few are decoded whatever the file says."""

_A_BYTE = {
    **{"raw": 8, "zip": 8 * 1032, "jpeg": 1024, "gif": 4096, "bcn": 16, "libtiff": 8192},
    **dict.fromkeys(("packbits", "pcx", "tga_rle", "sgi_rle"), 512),
}
"""How many pixels a byte of a file can stand for at most, by Pillow's decoders: a bit each, a run, deflate's longest
repetition of bits, blocks of 64 of which each takes two bits."""

_WANTING = {"WEBP": 64_000_000, "AVIF": 128_000_000, "HEIF": 128_000_000}
"""Decoders that hold a picture up to four times over, and the most pixels that are left to them."""

_WANTING_FREE = 4096 * 4096
_WANTING_A_BYTE = 64
"""Beyond so many pixels those take only what also has bytes: photographs have one for every ten pixels or less."""

_JPEG2000_WHOLE = 12_500_000
_JPEG2000_REDUCED = 2048 * 2048
"""JPEG 2000 takes twenty bytes a pixel, and a second for so many; what has more pixels is halved until it has few."""

_MOST_SCANNED = 2_500_000_000
"""Pixels, all scans together, about two seconds."""

_MOST_BEYOND = 256_000_000
"""Bytes that a decoder may hold besides the picture."""

_MOST_TURNED = 4 * MOST_KEPT
"""Bytes of a TIFF that Pillow holds twice to turn it."""

_BITS, _ORIENTATION, _ROWS, _TILE_WIDTH, _TILE_LENGTH = 258, 274, 278, 322, 323

_IN_PYTHON = ("qoi", "ppm", "ppm_plain", "bmp_rle", "dds_rgb", "SGI16")
_MOST_IN_PYTHON = 1_000_000
"""Pixels, about a second: these decoders of Pillow's take them one by one, in Python."""

_MOST_BYTES_IN_PYTHON = 8 << 20


def check_size(size: tuple[int, int], label: str) -> None:
    """Raises ImageError for pictures without pixels and with too many; `label` begins the messages."""
    width, height = size
    if width <= 0 or height <= 0:
        raise ImageError(f"{label} has no pixels ({width} x {height})", "give a picture that has some")
    if width * height > MAX_PIXELS:
        limit = f"{MAX_PIXELS // 1_000_000} million pixels"
        raise ImageError(f"{label} is {width} x {height}, more than {limit}", "make it smaller")
    if max(size) > MOST_ALONG:
        raise ImageError(f"{label} is {width} x {height}, longer than {MOST_ALONG:,} pixels", "cut it into pieces")


def check_cost(image: Image.Image, size: int, label: str) -> None:
    """Raises ImageError for an opened picture, not yet decoded, of a file of this size in bytes, whose pixels the file
    cannot hold or whose decoder would take long or much memory."""
    pixels, named = image.width * image.height, f"{label} is {image.width} x {image.height}"
    tiles = getattr(image, "tile", None) or []
    decoder = tiles[0][0] if tiles else image.format or ""
    told = sum((right - left) * (lower - upper) for _, (left, upper, right, lower), *_ in tiles) if tiles else pixels
    if image.format == "TIFF":
        _check_tiff(image, told, decoder, label)
    if told > max(_FEW_PIXELS, size * _A_BYTE.get(decoder, told)):
        raise ImageError(f"{named}, which its {size:,} bytes cannot hold", "download or save it again")
    if decoder in _IN_PYTHON and (pixels > _MOST_IN_PYTHON or size > _MOST_BYTES_IN_PYTHON):
        raise ImageError(f"{named} and of a kind that takes long to read at such a size", "save it again as PNG")
    most = max(_WANTING_FREE, min(size * _WANTING_A_BYTE, _WANTING.get(decoder, 0)))
    if decoder in _WANTING and pixels > most:
        raise ImageError(f"{named} in {size:,} bytes, which takes too much memory to read", "save it as JPEG or PNG")


def reduce_early(image: Image.Image) -> bool:
    """Lets the decoder of a giant leave out what would be thrown away, where it can; whether it does."""
    width, height = image.size
    factor = reduction(image.size)
    if image.format in ("JPEG", "MPO") and factor > 1:
        image.draft(image.mode, (max(1, width // factor), max(1, height // factor)))
        return True
    if image.format == "JPEG2000" and width * height > _JPEG2000_WHOLE:
        image.reduce = math.ceil(math.log2(width * height / _JPEG2000_REDUCED) / 2)  # type: ignore[method-assign]
        return True
    return False


def check_scans(image: Image.Image, stream: BinaryIO, label: str) -> None:
    """Raises ImageError for a JPEG that goes over its pixels so often, or so many of them, that it takes long or holds
    more than they are."""
    pixels = image.width * image.height
    if image.format not in ("JPEG", "MPO") or pixels <= _FEW_PIXELS:
        return
    scans = jpeg_scans(stream, _MOST_SCANNED // pixels)
    if scans * pixels > _MOST_SCANNED:
        raise ImageError(f"{label} takes long to read, going over its pixels {scans} times or more", "save it again")
    if scans > 1 and _coefficients(image) > 3 * pixels + _MOST_BEYOND:
        raise ImageError(
            f"{label} is a progressive JPEG of {pixels // 1_000_000} million pixels, which takes too much memory",
            "save it without",
        )


def _coefficients(image: Image.Image) -> int:
    """The bytes of a picture that is kept as JPEG has it: two for each value, colours being fewer."""
    layers = [(across, down) for _, across, down, *_ in getattr(image, "layer", ())]
    most = max((across for across, _ in layers), default=1) * max((down for _, down in layers), default=1)
    return sum(2 * image.width * image.height * across * down // max(1, most) for across, down in layers)


def _check_tiff(image: Image.Image, told: int, decoder: str, label: str) -> None:
    """Raises ImageError where strips are missing; where one, which is held beside the picture, is of a size that no
    writer gives it; and for giants that Pillow would hold twice to turn them."""
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
    if told < image.width * image.height:
        raise ImageError(f"{label} has strips for a part of its pixels only", "download or save it again")
    width_in_memory = 1 if image.mode in ("1", "L", "P") else 4
    if image.width * image.height * width_in_memory > _MOST_TURNED and tags.get(_ORIENTATION, 1) != 1:
        raise ImageError(f"{label} is {image.width} x {image.height}, too large to be turned", "save it upright")
    if decoder == "libtiff":
        tiled = _TILE_WIDTH in tags
        across = tags[_TILE_WIDTH] if tiled else image.width
        rows = tags.get(_TILE_LENGTH, 0) if tiled else min(tags.get(_ROWS, image.height), image.height)
        if rows * across * sum(tags.get(_BITS, (1,))) // 8 > _MOST_BEYOND:
            raise ImageError(f"{label} is cut into strips or tiles of {rows:,} rows", "save it again as PNG")
