"""The texts in a picture's EXIF tags, in whatever encoding a program left them."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import Any

from PIL import ExifTags, Image

MOST_BYTES = 2 * 2**20

_EXIF_POINTER = 0x8769
_USER_COMMENT = "UserComment"
_WANTED = {
    *("ImageDescription", "Make", "Model", "Software", "Artist", "Copyright", "DateTime", "HostComputer"),
    *("DateTimeOriginal", "LensMake", "LensModel", "CameraOwnerName", "DocumentName"),
    *("XPTitle", "XPComment", "XPAuthor", "XPKeywords", "XPSubject", _USER_COMMENT),
}
_GRAPH_IN_EXIF = re.compile(r"(prompt|workflow)\s*:\s*(\{.*)", re.DOTALL | re.IGNORECASE)
"""How ComfyUI keeps its graph in the EXIF tags of a WebP."""

_USUAL = re.compile(r"[ -~\xa0-\u024f\u0370-\u06ff\u0e00-\u0e7f\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]")
"""Letters of the languages that most people write in. Bytes in the wrong order are letters of all and any."""

_CODES = (b"ASCII\0\0\0", b"UNICODE\0", b"JIS\0\0\0\0\0", bytes(8))
"""The eight bytes before a user comment that name its encoding."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def exif_of(data: bytes) -> Image.Exif:
    """A block on its own, as PNG and other containers keep it; an empty one where it is broken."""
    exif = Image.Exif()
    try:
        exif.load(data)
    except Exception:  # noqa: BLE001 - a broken block says nothing
        return Image.Exif()
    return exif


def exif_texts(exif: Image.Exif) -> Iterator[tuple[str, str]]:
    """Name and text of each tag that says something in words."""
    try:
        values = {**dict(exif.items()), **exif.get_ifd(_EXIF_POINTER)}
    except Exception:  # noqa: BLE001 - a broken block says nothing
        return
    for tag, value in values.items():
        key = ExifTags.TAGS.get(tag, "")
        if key not in _WANTED:
            continue
        text = _text(key, value)
        graph = _GRAPH_IN_EXIF.match(text)
        yield (graph[1].lower(), graph[2]) if graph else (key, text)


def _text(key: str, value: Any) -> str:
    if isinstance(value, tuple) and key.startswith("XP"):
        value = bytes(number & 255 for number in value[: 2 * MOST_BYTES] if isinstance(number, int))
    if isinstance(value, str):
        value = _bytes_of(value[:MOST_BYTES])
    if not isinstance(value, bytes):
        return str(value)[:MOST_BYTES].rstrip("\0")
    value = value[: 2 * MOST_BYTES]
    if key.startswith("XP"):
        return decoded(value, "utf-16-le")
    return user_comment(value) if key == _USER_COMMENT else decoded(value)


def _bytes_of(text: str) -> bytes | str:
    """A text's bytes, where they are the file's: Pillow reads all of them as Latin-1, and much is UTF-8."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text


def user_comment(value: bytes) -> str:
    """A user comment by the encoding named in its first eight bytes, or, where its bytes belie that, by its bytes."""
    code, text = (value[:8], value[8:]) if value.startswith(_CODES) else (b"", value)
    if code.startswith(b"UNICODE"):
        return _unicode(text)
    return decoded(text, "iso2022_jp" if code.startswith(b"JIS") else None)


def _unicode(text: bytes) -> str:
    """UTF-16 by the standard, which leaves the order of the bytes open; some programs write UTF-8 all the same."""
    if any(text.startswith(mark) for mark, _ in _MARKS):
        return decoded(text)
    if b"\0" not in text.rstrip(b"\0") and _is_utf8(text.rstrip(b"\0")):
        return text.decode("utf-8").rstrip("\0")
    # letters of most prompts have a zero for their upper half; where none has, the order with more usual letters
    ending = text[: len(text) - len(text) % 2]
    readings = [ending.decode(name, "replace") for name in ("utf-16-be", "utf-16-le")]
    upper, lower = text[::2].count(0), text[1::2].count(0)
    if upper != lower:
        return readings[lower > upper].rstrip("\0")
    return max(readings, key=lambda reading: len(_USUAL.findall(reading[:4096]))).rstrip("\0")


def _is_utf8(text: bytes) -> bool:
    """Whether bytes without zeros are UTF-8 rather than UTF-16: valid, and, where all are ASCII, mostly letters."""
    try:
        reading = text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    letters = sum(letter.isalnum() or letter in " ,.\n" for letter in reading[:4096])
    return not reading.isascii() or len(text) % 2 == 1 or letters >= 0.75 * len(reading[:4096])


def decoded(data: bytes, encoding: str | None = None) -> str:
    """By its byte order mark; else in `encoding`, where one is given; else UTF-8, which many write where the standard
    says Latin-1, or Latin-1."""
    for mark, marked in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(marked, "replace").rstrip("\0")
    if encoding is not None:
        return data.decode(encoding, "replace").rstrip("\0")
    try:
        return data.decode("utf-8").rstrip("\0")
    except UnicodeDecodeError:
        return data.decode("latin-1").rstrip("\0")
