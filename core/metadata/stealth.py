"""Texts hidden in the lowest bits of a PNG's pixels, column after column, as NovelAI and some webuis write them:
in the alpha channel, or in red, green and blue.

The first pixels of a picture say whether there is any; they are looked at by themselves, so that an ordinary picture
is neither decoded nor slowed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image

MOST_BYTES = 2 * 2**20
MOST_PIXELS = 16 * 2**20
_WIDEST = 2**14
_SMALL = 2**18  # pixels that are decoded at once; taller pictures than _ROWS are asked for their first column alone
_ROWS = 128
_MARK_BYTES = 15
_MARKS = {b"stealth_pnginfo": False, b"stealth_pngcomp": True, b"stealth_rgbinfo": False, b"stealth_rgbcomp": True}
"""Whether what follows is compressed."""

_SIGNATURE_AND_HEADER = 8 + 8 + 13
_GREY_BYTES = {2: 3, 6: 4}  # bytes of a pixel by PNG's colour types: those with three colours, eight bits each


def hidden_text(stream: BinaryIO) -> str:
    """The text in a PNG's pixels; "" where there is none, or the picture is no such one or damaged."""
    stream.seek(0)
    head = stream.read(_SIGNATURE_AND_HEADER)
    if len(head) < _SIGNATURE_AND_HEADER:
        return ""
    width, height, depth, colours, _, _, interlaced = struct.unpack(">IIBBBBB", head[16:])
    if depth != 8 or colours not in _GREY_BYTES or not (0 < width <= _WIDEST and 0 < width * height <= MOST_PIXELS):
        return ""
    if not interlaced and height >= _ROWS and not _may_hold(_first_column(stream, width, _GREY_BYTES[colours])):
        return ""
    if (interlaced or height < _ROWS) and width * height > _SMALL:
        return ""
    return _text(_pixels(stream))


def _may_hold(column: bytes | None) -> bool:
    """Whether the first pixels, a byte a channel, begin with one of the marks."""
    if column is None:
        return False
    channels = np.frombuffer(column, np.uint8).reshape(_ROWS, -1)
    return any(_bytes(bits)[:_MARK_BYTES] in _MARKS for bits in _planes(channels))


def _planes(channels: np.ndarray) -> Iterator[np.ndarray]:
    """The lowest bits of pixels [count, channels]: those of alpha, and those of the colours in turn."""
    if channels.shape[1] == 4:
        yield channels[:, 3] & 1
    yield (channels[:, :3] & 1).reshape(-1)


def _bytes(bits: np.ndarray) -> bytes:
    return np.packbits(bits).tobytes()


def _first_column(stream: BinaryIO, width: int, size: int) -> bytes | None:
    """The first pixel of each of the first rows, a pixel of `size` bytes; None where the data are damaged.

    In the first column a row's filter has nothing on the left to go by, so no other pixel is needed.
    """
    stride = 1 + width * size
    rows = _inflated(stream, stride * _ROWS)
    if len(rows) < stride * _ROWS:
        return None
    above, column = bytes(size), bytearray()
    for start in range(0, stride * _ROWS, stride):
        kind, raw = rows[start], rows[start + 1 : start + 1 + size]
        if kind in (2, 4):  # up, and Paeth, which is up where there is no left
            raw = bytes((one + other) & 255 for one, other in zip(raw, above, strict=True))
        elif kind == 3:
            raw = bytes((one + other // 2) & 255 for one, other in zip(raw, above, strict=True))
        column += raw
        above = raw
    return bytes(column)


def _inflated(stream: BinaryIO, wanted: int) -> bytes:
    """The first bytes of the picture's data."""
    unpack, found = zlib.decompressobj(), bytearray()
    stream.seek(8)
    while len(found) < wanted:
        header = stream.read(8)
        length, kind = struct.unpack(">I4s", header) if len(header) == 8 else (0, b"IEND")
        if kind == b"IEND":
            break
        if kind != b"IDAT":
            stream.seek(length + 4, 1)
            continue
        while length and len(found) < wanted:
            piece = stream.read(min(length, 2**16))
            length = length - len(piece) if piece else 0
            try:
                found += unpack.decompress(piece, wanted - len(found))
            except zlib.error:
                return bytes(found)
        stream.seek(4, 1)
    return bytes(found)


def _pixels(stream: BinaryIO) -> np.ndarray | None:
    """[height, width, channels], uint8."""
    stream.seek(0)
    try:
        with Image.open(stream, formats=("PNG",)) as image:
            pixels = np.asarray(image)
    except Exception:  # noqa: BLE001 - a damaged picture hides nothing that could be read
        return None
    return pixels if pixels.ndim == 3 and pixels.dtype == np.uint8 else None


def _text(pixels: np.ndarray | None) -> str:
    if pixels is None:
        return ""
    by_column = pixels.transpose(1, 0, 2).reshape(-1, pixels.shape[2])
    for bits in _planes(by_column):
        start = _MARK_BYTES * 8
        mark = _bytes(bits[:start])
        if mark not in _MARKS or len(bits) < start + 32:
            continue
        length = int.from_bytes(_bytes(bits[start : start + 32]), "big")
        if length > min(len(bits) - start - 32, 8 * MOST_BYTES):
            continue
        data = _bytes(bits[start + 32 : start + 32 + length])
        return _unpacked(data) if _MARKS[mark] else data.decode("utf-8", "replace")
    return ""


def _unpacked(data: bytes) -> str:
    try:
        return zlib.decompressobj(wbits=31).decompress(data, MOST_BYTES).decode("utf-8", "replace")
    except zlib.error:
        return ""
