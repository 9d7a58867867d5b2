"""The texts that a picture's file carries, read within limits: PNG chunks by hand, the rest's EXIF, XMP and comments
with Pillow."""

from __future__ import annotations

import itertools
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from ..errors import ImageError
from ..images.formats import describe, load_plugin, readable_formats, settle_packet
from ..images.reading import opened
from .exif import decoded, exif_of, exif_texts
from .json_text import object_in
from .stealth import hidden_text
from .xmp import MOST_BYTES as MOST_BYTES_OF_XMP
from .xmp import xmp_texts

MOST_BYTES_OF_ONE = 4 * 2**20
MOST_BYTES = 16 * 2**20
MOST_CHUNKS = 200_000
MOST_TEXTS = 200

_PNG = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">I4s")
_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"eXIf")
_XMP = "XML:com.adobe.xmp"
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_TIFF_XMP = 700
_GENERATED = {"parameters", "prompt", "workflow", "invokeai_metadata", "sd-metadata", "Dream", "Comment"}
"""Where a PNG has one of these, no text is looked for in its pixels."""


def read_texts(source: Any, name: str | None = None) -> dict[str, str]:
    """The texts by name, as they are in the file: PNG keywords, EXIF tags, XMP properties, "comment". Cut where they
    pass the limits.

    source: a path, bytes, or a binary file object. Raises ImageError where that is no picture file.
    """
    with opened(source, name) as (stream, label):
        head = stream.read(1024)
        if not head:
            raise ImageError(f"{label} is empty (0 bytes)", "download or save it again")
        stream.seek(0)
        beside = _beside(source)
        if not head.startswith(_PNG):
            return _limited(itertools.chain(_other_texts(stream, head, label), beside))
        texts = _limited(_png_texts(stream))
        hidden = () if texts.keys() & _GENERATED else _hidden(stream)
        return _limited(itertools.chain(texts.items(), hidden, beside))


def _beside(source: Any) -> Iterator[tuple[str, str]]:
    """What a file of its own beside the picture says, as many programs write it, and we where a picture's file has no
    place for it: PICTURE.png.xmp."""
    if not isinstance(source, (str, os.PathLike)):
        return
    path = Path(f"{os.fsdecode(source)}.xmp")
    try:
        if not path.is_file():  # opening a pipe or a device could wait for ever
            return
        with path.open("rb") as stream:
            packet = stream.read(MOST_BYTES_OF_XMP)
    except (OSError, ValueError):
        return
    yield from xmp_texts(packet)


def _limited(pairs: Iterator[tuple[str, str]]) -> dict[str, str]:
    """The first text of each name, as far as the limits go. What has come before is counted too: it was unpacked."""
    texts: dict[str, str] = {}
    left = MOST_BYTES
    for key, text in pairs:
        if len(texts) >= MOST_TEXTS or left <= 0:
            break
        if text and key not in texts:
            texts[key] = text[: min(MOST_BYTES_OF_ONE, left)]
        left -= len(text)
    return texts


def _png_texts(stream: BinaryIO) -> Iterator[tuple[str, str]]:
    """Pillow reads these too, but stops at the picture's data, and refuses the file where one text is too large."""
    stream.seek(len(_PNG))
    once = {b"eXIf", _XMP}
    left = 2 * MOST_BYTES
    for _ in range(MOST_CHUNKS):
        header = stream.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return
        length, kind = _HEADER.unpack(header)
        if kind == b"IEND":
            return
        if kind not in _TEXTS or left <= 0:
            stream.seek(length + 4, 1)
            continue
        data = stream.read(min(length, MOST_BYTES_OF_ONE))
        stream.seek(length - len(data) + 4, 1)
        if kind == b"eXIf":
            yield from exif_texts(exif_of(data)) if kind in once else ()
            once.discard(kind)
            continue
        key, unpacked = _png_text(kind, data)
        # what turned out to be damaged was unpacked up to there
        left -= len(unpacked) or (MOST_BYTES_OF_ONE if kind == b"zTXt" else 0)
        text = decoded(unpacked)
        yield from _xmp(text.encode("utf-8", "replace")) if key in once else ((key, text),)
        once.discard(key)


def _png_text(kind: bytes, data: bytes) -> tuple[str, bytes]:
    keyword, _, rest = data.partition(b"\0")
    key = keyword[:79].decode("latin-1")
    if kind == b"zTXt":
        return key, _inflate(rest[1:])
    if kind == b"iTXt":
        compressed = rest[:1] == b"\1"
        text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        return key, _inflate(text) if compressed else text
    return key, rest


def _inflate(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, MOST_BYTES_OF_ONE)
    except zlib.error:
        return b""


def _xmp(packet: bytes) -> Iterator[tuple[str, str]]:
    """What the packet says, or the packet itself where nothing of it is known here."""
    texts = list(xmp_texts(packet))
    yield from texts or ((_XMP, decoded(packet)),)


def _hidden(stream: BinaryIO) -> Iterator[tuple[str, str]]:
    """A webui hides its parameters alone, other programs all their texts as one object."""
    text = hidden_text(stream)
    if text:
        values = object_in(text) or {}
        named = [(str(key), value) for key, value in values.items() if isinstance(value, str)]
        yield from named if values.keys() & _GENERATED and named else [("parameters", text)]


def _other_texts(stream: BinaryIO, head: bytes, label: str) -> Iterator[tuple[str, str]]:
    load_plugin(head)
    try:
        with Image.open(stream, formats=readable_formats()) as image:
            settle_packet(image)
            info, exif = dict(image.info), image.getexif()
            xmp = _packet(image, info)
    except Image.DecompressionBombError as error:
        raise ImageError(f"{label} has more pixels than Pillow is set to allow", "make it smaller") from error
    except Exception as error:  # decoders raise anything at all for bytes they did not expect
        raise ImageError(f"{label} {describe(head)}") from error
    yield from exif_texts(exif)
    comment = info.get("comment")
    if isinstance(comment, (str, bytes)):
        yield "comment", comment if isinstance(comment, str) else decoded(comment)
    if xmp:
        yield from _xmp(xmp)


def _packet(image: Image.Image, info: dict[Any, Any]) -> bytes:
    """The XMP packet: most of Pillow's plugins give it a name, older ones leave TIFF's among its tags and JPEG's among
    its segments."""
    named = info.get("xmp") or getattr(image, "tag_v2", {}).get(_TIFF_XMP)
    if isinstance(named, tuple) and len(named) == 1:
        named = named[0]
    if isinstance(named, str):  # a TIFF's letters, each of which stands for a byte
        return named.encode("latin-1", "replace")
    if isinstance(named, bytes):
        return named
    segments = [data for kind, data in getattr(image, "applist", ()) if kind == "APP1"]
    return next((data[len(_JPEG_XMP) :] for data in segments if data.startswith(_JPEG_XMP)), b"")
