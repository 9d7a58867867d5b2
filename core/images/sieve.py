"""A picture's file without what stands beside its pixels, where that could stop or exhaust a decoder.

Pillow refuses a PNG whose texts or colour profile inflate to more than a limit of the whole process, joins a GIF's
comments and a JPEG's tags in time that grows with their square. None of it says anything about the pixels, but for the
orientation, which stays.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from ..errors import ImageError
from .tags import overstated

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_MOST_PARTS = 250_000
"""Chunks of one file: of 8 KiB each, as encoders write them, they are 2 GB."""

_MOST_BESIDE = 1 << 18
"""Bytes of what says how a picture is turned."""

_TURNING_TEXTS = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")
_PNG_ASIDE = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
_JPEG_ENOUGH = 1 << 20
_JPEG_KEPT = {0xE0, 0xEE}  # JFIF, and Adobe's, which says what the colours are
_NO_LENGTH = {0x01, *range(0xD0, 0xD9)}


class Part(NamedTuple):
    """Bytes of a file, from start to stop."""

    start: int
    stop: int


class _Sieve(io.RawIOBase):
    """Parts of a stream, as if they were a file."""

    def __init__(self, stream: BinaryIO, parts: list[Part]) -> None:
        self._stream = stream
        self._parts = parts
        self._starts = [0]
        for part in parts:
            self._starts.append(self._starts[-1] + part.stop - part.start)
        self._at = 0
        self._number = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._starts[-1])[whence])
        self._number = 0 if self._at < self._starts[self._number] else self._number
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        while self._number < len(self._parts) and self._at >= self._starts[self._number + 1]:
            self._number += 1
        if self._number == len(self._parts):
            self._number = 0
            return 0
        view = memoryview(buffer).cast("B")
        left = self._starts[self._number + 1] - self._at
        self._stream.seek(self._parts[self._number].start + self._at - self._starts[self._number])
        data = self._stream.read(min(len(view), left))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)


def sifted(stream: BinaryIO, head: bytes, label: str) -> BinaryIO:
    """The stream itself where there is nothing to leave out. head: its first bytes. Raises ImageError for files in so
    many parts that looking at them would take long; `label` begins the message."""
    for beginning, walk in ((PNG_SIGNATURE, _png), (b"GIF8", _gif), (b"\xff\xd8\xff", _jpeg)):
        if head.startswith(beginning):
            parts = _joined(walk(stream), label)
            return io.BufferedReader(_Sieve(stream, parts), 1 << 16) if len(parts) > 1 else stream
    return stream


def jpeg_scans(stream: BinaryIO, most: int) -> int:
    """How often a JPEG goes over its pixels, 1 for the usual kind; counted a little beyond `most`."""
    progressive, layers, at = False, 0, 2
    while True:
        stream.seek(at)
        mark = stream.read(10).ljust(10, b"\0")
        if mark[0] != 0xFF or mark[1] == 0xDA:
            break
        if mark[1] in (0xC0, 0xC1, 0xC2):
            progressive, layers = mark[1] == 0xC2, mark[9]
        at += 1 if mark[1] == 0xFF else 2 if mark[1] in _NO_LENGTH else 2 + struct.unpack(">H", mark[2:4])[0]
    if not progressive and mark[4] >= layers:
        return 1
    scans, before = 0, b""
    stream.seek(at)
    while scans <= most and (block := stream.read(1 << 20)):
        scans += (before[-1:] + block).count(b"\xff\xda")
        before = block
    return scans


def _joined(parts: Iterator[Part], label: str) -> list[Part]:
    joined: list[Part] = []
    for number, part in enumerate(parts):
        if number > _MOST_PARTS:
            raise ImageError(f"{label} is in more than {_MOST_PARTS:,} parts", "save it again")
        if joined and joined[-1].stop == part.start:
            joined[-1] = Part(joined[-1].start, part.stop)
        elif part.start < part.stop:
            joined.append(part)
    return joined


def _end(stream: BinaryIO) -> int:
    return stream.seek(0, io.SEEK_END)


def _png(stream: BinaryIO) -> Iterator[Part]:
    """Its chunks but for texts and colour profiles. Empty parts stand for those, so that they are counted too."""
    end, at = _end(stream), len(PNG_SIGNATURE)
    yield Part(0, at)
    while at < end:
        stream.seek(at)
        head = stream.read(8)
        stop = min(end, at + 12 + int.from_bytes(head[:4], "big"))
        kind = head[4:]
        aside = kind in _PNG_ASIDE and not _turning_text(stream, kind, at + 8, stop - 4)
        if kind == b"eXIf":
            aside = stop - at > _MOST_BESIDE or overstated(stream.read(stop - at - 12))
        yield Part(at, at) if aside else Part(at, stop)
        at = stop
        if kind == b"IEND":
            yield Part(at, end)
            return


def _turning_text(stream: BinaryIO, kind: bytes, start: int, stop: int) -> bool:
    """Whether a text chunk may say how the picture is turned, and is small."""
    if kind == b"iCCP" or stop - start > _MOST_BESIDE:
        return False
    text = stream.read(max(0, stop - start))
    key = next((key for key in _TURNING_TEXTS if text.startswith(key)), None)
    if key is None:
        return False
    rest = text[len(key) :]
    if kind == b"iTXt" and rest[:1] != b"\0":
        rest = rest[2:].split(b"\0", 2)[-1]
    elif kind == b"zTXt":
        rest = rest[1:]
    else:
        return True
    try:
        return len(zlib.decompressobj().decompress(rest, _MOST_BESIDE)) < _MOST_BESIDE
    except zlib.error:
        return False


def _gif(stream: BinaryIO) -> Iterator[Part]:
    """All but the extensions before the first picture that do not belong to it: comments, texts, loops, XMP."""
    end = _end(stream)
    stream.seek(0)
    screen = stream.read(13).ljust(13, b"\0")
    at = 13 + (3 << ((screen[10] & 7) + 1) if screen[10] & 0x80 else 0)
    yield Part(0, at)
    while at < end:
        stream.seek(at)
        introduced = stream.read(2)
        if introduced[:1] != b"!":
            break
        stop = at + 2
        while (length := int.from_bytes(stream.read(1), "big")) and stop < end:
            stream.seek(length, io.SEEK_CUR)
            stop += 1 + length
            if introduced != b"!\xf9":
                yield Part(stop, stop)
        stop += 1
        yield Part(at, stop) if introduced == b"!\xf9" else Part(stop, stop)
        at = stop
    yield Part(at, end)


def _jpeg(stream: BinaryIO) -> Iterator[Part]:
    """All, or where much stands before the pixels or its tags overstate themselves: without comments, profiles,
    previews and the rest of what applications leave there."""
    end, at, odd = _end(stream), 2, False
    segments: list[tuple[int, Part, bool]] = []  # and whether its tags or texts may say how the picture is turned
    while at + 4 <= end and len(segments) <= _MOST_PARTS:
        stream.seek(at)
        mark = stream.read(4)
        if mark[0] != 0xFF or mark[1] == 0xDA:
            break
        says = False
        if mark[1] in _NO_LENGTH or mark[1] == 0xFF:
            stop = at + (1 if mark[1] == 0xFF else 2)
        else:
            stop = min(end, at + 2 + struct.unpack(">H", mark[2:])[0])
            data = stream.read(max(0, stop - at - 4)) if mark[1] == 0xE1 else b""
            says = data.startswith((b"Exif\0\0", b"http://ns.adobe.com/xap"))
            if data.startswith(b"Exif\0\0") and overstated(data[6:]):
                odd, says = True, False
        segments.append((mark[1], Part(at, stop), says))
        at = max(stop, at + 1)
    yield Part(0, 2)
    if odd or at > _JPEG_ENOUGH:
        yield from _jpeg_kept(segments)
    else:
        yield Part(2, at)
    yield Part(at, end)


def _jpeg_kept(segments: list[tuple[int, Part, bool]]) -> Iterator[Part]:
    tags = 0
    for kind, part, says in segments:
        tags += says
        application = 0xE0 <= kind <= 0xEF or kind == 0xFE
        kept = not application or kind in _JPEG_KEPT or (says and tags <= 2)
        yield part if kept else Part(part.start, part.start)
