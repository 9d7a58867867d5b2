"""PNG files of one size as one animated PNG (W3C, Portable Network Graphics, third edition, sections 4.9 and 11.3.6),
frame by frame, so that a film of any length takes the memory of one."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MILLISECONDS = 1000


class _Chunk(NamedTuple):
    kind: bytes
    data: bytes


def write_apng(frames: Sequence[Path], file: BinaryIO, per_second: float, text: bytes = b"") -> None:
    """frames: PNG files, all of one size and kind. per_second: how many are shown. text: a tEXt or iTXt chunk's data
    before the first picture, of tEXt. Plays for ever. Raises OSError, and ValueError for frames that are not alike."""
    delay = min(2**16 - 1, max(1, round(_MILLISECONDS / per_second)))
    file.write(_SIGNATURE)
    header, number = b"", 0
    for place, path in enumerate(frames):
        for chunk in _chunks(path):
            if chunk.kind == b"IHDR":
                if place == 0:
                    header = chunk.data
                    _write(file, b"IHDR", header)
                    _write(file, b"acTL", struct.pack(">II", len(frames), 0))
                    if text:
                        _write(file, b"tEXt", text)
                elif chunk.data != header:
                    raise ValueError(f"{path} is of another size than the frames before it")
                width, height = struct.unpack(">II", header[:8])
                control = struct.pack(">IIIIIHHBB", number, width, height, 0, 0, delay, _MILLISECONDS, 0, 0)
                _write(file, b"fcTL", control)
                number += 1
            elif chunk.kind == b"IDAT" and place == 0:
                _write(file, b"IDAT", chunk.data)
            elif chunk.kind == b"IDAT":
                _write(file, b"fdAT", struct.pack(">I", number) + chunk.data)
                number += 1
    _write(file, b"IEND", b"")


def _chunks(path: Path) -> Iterator[_Chunk]:
    with path.open("rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            raise ValueError(f"{path} is no PNG file")
        while head := file.read(8):
            length, kind = struct.unpack(">I4s", head) if len(head) == 8 else (0, b"")
            data = file.read(length)
            if len(data) < length or len(file.read(4)) < 4:
                raise ValueError(f"{path} is cut short")
            yield _Chunk(kind, data)


def _write(file: BinaryIO, kind: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
