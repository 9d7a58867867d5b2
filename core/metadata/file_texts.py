"""The texts that a picture's file carries, read within limits: PNG chunks by hand, EXIF and comments with Pillow."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from PIL import ExifTags, Image

from ..errors import ImageError
from ..images.formats import describe, load_plugin, readable_formats
from ..images.reading import opened

MOST_BYTES_OF_ONE = 2 * 2**20
MOST_BYTES = 16 * 2**20
MOST_CHUNKS = 200_000
MOST_TEXTS = 200

_PNG = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">I4s")
_EXIF_POINTER = 0x8769
_USER_COMMENT = "UserComment"
_WANTED = {
    *("ImageDescription", "Make", "Model", "Software", "Artist", "Copyright", "DateTime", "HostComputer"),
    *("DateTimeOriginal", "LensMake", "LensModel", "CameraOwnerName", "DocumentName"),
    *("XPTitle", "XPComment", "XPAuthor", "XPKeywords", "XPSubject", _USER_COMMENT),
}
_GRAPH_IN_EXIF = re.compile(r"(prompt|workflow)\s*:\s*(\{.*)", re.DOTALL | re.IGNORECASE)
"""How ComfyUI keeps its graph in the EXIF tags of a WebP."""


def read_texts(source: Any, name: str | None = None) -> dict[str, str]:
    """The texts by name, as they are in the file: PNG keywords, EXIF tags, "comment". Cut where they pass the limits.

    source: a path, bytes, or a binary file object. Raises ImageError where that is no picture file.
    """
    with opened(source, name) as (stream, label):
        head = stream.read(1024)
        if not head:
            raise ImageError(f"{label} is empty (0 bytes)", "download or save it again")
        stream.seek(0)
        pairs = _png_texts(stream) if head.startswith(_PNG) else _other_texts(stream, head, label)
        return _limited(pairs)


def _limited(pairs: Iterator[tuple[str, str]]) -> dict[str, str]:
    """The first text of each name, as far as the limits go."""
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
    for _ in range(MOST_CHUNKS):
        header = stream.read(_HEADER.size)
        if len(header) < _HEADER.size:
            return
        length, kind = _HEADER.unpack(header)
        if kind == b"IEND":
            return
        if kind not in (b"tEXt", b"zTXt", b"iTXt", b"eXIf"):
            stream.seek(length + 4, 1)
            continue
        data = stream.read(min(length, MOST_BYTES_OF_ONE))
        stream.seek(length - len(data) + 4, 1)
        if kind == b"eXIf":
            yield from _exif_texts(_exif_of(data))
        else:
            yield _png_text(kind, data)


def _png_text(kind: bytes, data: bytes) -> tuple[str, str]:
    keyword, _, rest = data.partition(b"\0")
    key = keyword[:79].decode("latin-1")
    if kind == b"zTXt":
        return key, _decode(_inflate(rest[1:]))
    if kind == b"iTXt":
        compressed = rest[:1] == b"\1"
        text = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        return key, _decode(_inflate(text) if compressed else text)
    return key, _decode(rest)


def _inflate(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, MOST_BYTES_OF_ONE)
    except zlib.error:
        return b""


def _decode(data: bytes) -> str:
    """UTF-8, which many write where the standard says Latin-1."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _other_texts(stream: BinaryIO, head: bytes, label: str) -> Iterator[tuple[str, str]]:
    load_plugin(head)
    try:
        with Image.open(stream, formats=readable_formats()) as image:
            info, exif = dict(image.info), image.getexif()
    except Image.DecompressionBombError as error:
        raise ImageError(f"{label} has more pixels than Pillow is set to allow", "make it smaller") from error
    except Exception as error:  # decoders raise anything at all for bytes they did not expect
        raise ImageError(f"{label} {describe(head)}") from error
    yield from _exif_texts(exif)
    comment = info.get("comment")
    if isinstance(comment, (str, bytes)):
        yield "comment", comment if isinstance(comment, str) else _decode(comment)


def _exif_of(data: bytes) -> Image.Exif:
    exif = Image.Exif()
    try:
        exif.load(data)
    except Exception:  # noqa: BLE001 - a broken block says nothing
        return Image.Exif()
    return exif


def _exif_texts(exif: Image.Exif) -> Iterator[tuple[str, str]]:
    try:
        values = {**dict(exif.items()), **exif.get_ifd(_EXIF_POINTER)}
    except Exception:  # noqa: BLE001 - a broken block says nothing
        return
    for tag, value in values.items():
        key = ExifTags.TAGS.get(tag, "")
        if key not in _WANTED:
            continue
        text = _exif_text(key, value)
        graph = _GRAPH_IN_EXIF.match(text)
        yield (graph[1].lower(), graph[2]) if graph else (key, text)


def _exif_text(key: str, value: Any) -> str:
    if isinstance(value, tuple) and key.startswith("XP"):
        value = bytes(number & 255 for number in value if isinstance(number, int))
    if not isinstance(value, bytes):
        return str(value)[:MOST_BYTES_OF_ONE].rstrip("\0")
    value = value[: 2 * MOST_BYTES_OF_ONE]
    if key.startswith("XP"):
        return value.decode("utf-16-le", "replace").rstrip("\0")
    if key != _USER_COMMENT:
        return _decode(value).rstrip("\0")
    encoding, text = value[:8], value[8:]
    if encoding.startswith(b"UNICODE"):
        # the standard leaves the order of bytes open; letters of most prompts have a zero for their upper half
        little = text[1::2].count(0) > text[::2].count(0)
        return text.decode("utf-16-le" if little else "utf-16-be", "replace").rstrip("\0")
    return _decode(text if encoding[:5] in (b"ASCII", b"\0" * 5) else value).rstrip("\0")
