"""Prompts inside copies of the pictures, as programs that manage pictures read descriptions: XMP, and PNG's own text.

Copies are the picture's bytes with the description put in, never encoded anew. What has no place for one, or an XMP
packet already, which may hold more than is known here, gets a file beside the copy: PICTURE.png.xmp.
"""

from __future__ import annotations

import errno
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from ..files import is_inside
from ..printable import printable
from .items import Item, Outcome
from .sinks import Chosen, Existing, FilesSink
from .template import Template

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER_END = 33  # signature, and the chunk IHDR, which is always first and 25 bytes long
_PNG_XMP = b"XML:com.adobe.xmp"
_JPEG = b"\xff\xd8"
_JPEG_XMP = b"http://ns.adobe.com/xap/1.0/\0"


class DescribedCopySink(FilesSink):
    """Copies each picture into a folder, under its own name, with the prompt as its description."""

    output = "xmp"
    summary = "copies with the text inside"
    details = "copies under their own names, the prompt inside as the description"
    where = "folder"
    ways = ("skip", "overwrite")
    usual = "skip"
    plans = ("text",)

    def __init__(self, folder: Path, existing: Existing = "skip", template: Template | None = None) -> None:
        super().__init__(folder, self.output)
        self.produces = folder
        self._existing = existing
        self._template = template or Template()
        self._made: set[Path] = set()
        self.anew_is_harmless = True

    @classmethod
    def of(cls, chosen: Chosen) -> DescribedCopySink:
        assert chosen.existing is not None, "there is a usual way"
        return cls(chosen.place, chosen.existing, chosen.template)

    @property
    def asked(self) -> Mapping[str, Any]:
        return {"existing": self._existing, "template": self._template.text}

    def target(self, item: Item) -> Path:
        return self.place / _inside(item.name)

    def skips(self, item: Item) -> bool:
        return self._existing == "skip" and self.target(item).is_file()

    def plan(self, item: Item, outcome: Outcome) -> Mapping[str, Any]:
        return {"text": self._template.fill(outcome)}

    def write(self, item: Item, outcome: Outcome) -> None:
        target = self.target(item)
        if target.parent not in self._made:
            if not is_inside(self.place, target):
                raise OSError(errno.EXDEV, f"a link leads from {target.parent} out of {self.place}")
            target.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(target.parent)
        data = item.read()
        from ..metadata.xmp import xmp_packet  # which brings Pillow

        described = with_description(data, outcome.plan["text"])
        if described is None:
            self.put(target.with_name(f"{target.name}.xmp"), xmp_packet(outcome.plan["text"]))
        self.put(target, described or data)


def with_description(data: bytes, text: str) -> bytes | None:
    """The file with a description in it; None where its kind has no place for one, or holds an XMP packet already."""
    from ..metadata.xmp import xmp_packet

    if data.startswith(_PNG) and _PNG_XMP not in data:
        texts = _png_text(b"Description", printable(text).encode()) + _png_text(_PNG_XMP, xmp_packet(text))
        return data[:_PNG_HEADER_END] + texts + data[_PNG_HEADER_END:]
    if data.startswith(_JPEG) and _JPEG_XMP not in data:
        packet = _JPEG_XMP + xmp_packet(text)
        if len(packet) <= 0xFFFD:
            place = _after_first_segments(data)
            return data[:place] + b"\xff\xe1" + struct.pack(">H", len(packet) + 2) + packet + data[place:]
    return None


def _png_text(keyword: bytes, text: bytes) -> bytes:
    """An international text chunk, not compressed, of no named language."""
    content = b"iTXt" + keyword + b"\0\0\0\0\0" + text
    return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))


def _after_first_segments(data: bytes) -> int:
    """Past JFIF's and Exif's segments, which readers want first."""
    place = len(_JPEG)
    while data[place : place + 2] in (b"\xff\xe0", b"\xff\xe1"):
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return place


def _inside(name: str) -> PurePosixPath:
    """A name without what leads out of a folder."""
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..")]
    return PurePosixPath(*(part.replace(":", "_") for part in parts))
