"""Blocks of tags, as TIFF and EXIF have them, looked at before anyone reads their values."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import BinaryIO

_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Of a value of each type."""

_FURTHER = (0x8769, 0x8825, 0xA005)
"""Tags that say where a further block is: EXIF's own, places, and interoperability."""

_PLACES = (273, 279, 324, 325)
"""Where a TIFF's strips or tiles are, and how long."""

_MOST_PLACES = 200_000
_MOST_BLOCKS = 16
_SLACK = 1 << 16


def overstated(tags: bytes) -> bool:
    """Whether a block's tags claim several times the bytes that it has: each would be copied from the same place."""
    return not sound_tags(io.BytesIO(tags.removeprefix(b"Exif\0\0")), len(tags))


def sound_tags(stream: BinaryIO, size: int) -> bool:
    """False where the values of a TIFF's or EXIF's tags are more than a file of this size can hold, or its strips more
    than anyone cuts a picture into. True for what is no such block."""
    claimed = 0
    for tag, count, length in _tags(stream):
        claimed += length
        if claimed > 2 * size + _SLACK or (tag in _PLACES and count > _MOST_PLACES):
            return False
    return True


def _tags(stream: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Of each tag of the first block and those it names: its number, how many values it has, and their bytes."""
    stream.seek(0)
    head = stream.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None or len(head) < 8:
        return
    big = head[2:4] in (b"+\0", b"\0+")
    if big and len(head) < 16:
        return
    waiting = [struct.unpack(order + "Q", head[8:16])[0] if big else struct.unpack(order + "I", head[4:8])[0]]
    for _ in range(_MOST_BLOCKS):
        if not waiting:
            return
        for tag, kind, count, value in _block(stream, waiting.pop(), order, big):
            if tag in _FURTHER:
                waiting.append(value)
            yield tag, count, count * _BYTES.get(kind, 1)


def _block(stream: BinaryIO, at: int, order: str, big: bool) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count and the four or eight bytes that are the value, or say where it is."""
    entry = struct.Struct(order + ("HHQQ" if big else "HHII"))
    try:
        stream.seek(at)
    except (OSError, OverflowError, ValueError):
        return
    width = 8 if big else 2
    number = int.from_bytes(stream.read(width), "little" if order == "<" else "big")
    data = stream.read(min(number, 1 << 16) * entry.size)
    yield from entry.iter_unpack(data[: len(data) // entry.size * entry.size])
