"""What the first bytes of a file say about it: which decoder may help, and why Pillow cannot open it."""

from __future__ import annotations

import importlib
import io
import re
import struct
from collections.abc import Iterator
from types import ModuleType
from typing import BinaryIO

from PIL import Image, features

from ..installing import install_command
from .sieve import PNG_SIGNATURE

HEAD_BYTES = 1024
"""How much of a file the functions here want to see."""

READABLE = (
    *("PNG", "JPEG", "WEBP", "GIF", "AVIF", "HEIF", "TIFF", "BMP", "DIB", "JPEG2000"),
    *("ICO", "CUR", "PPM", "PSD", "QOI", "DDS", "PCX", "SGI", "TGA"),
)
"""Pillow's names of the formats tried, in this order: bitmaps which Pillow decodes by itself. Left out are
drawings, which it hands to other programs (EPS, WMF), and formats without a recognisable beginning, but for
TGA, which comes last."""

_PNM_HEAD = 1 << 16

TIFF_BEGINNINGS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DAMAGED = "but is damaged or cut off; download or save it again"
_RARE = "but is damaged or of a rare kind; save it again as PNG"
_EXPORT = "which is not read here; export it as PNG"
_FRAME = "which is not read here; save one of its frames as PNG"
_GIVE = "give a file such as PNG, JPEG or WebP"

_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (PNG_SIGNATURE, f"begins like a PNG picture {_DAMAGED}"),
    (b"\xff\xd8\xff", f"begins like a JPEG picture {_DAMAGED}"),
    (b"GIF8", f"begins like a GIF picture {_DAMAGED}"),
    (b"RIFF....WEBP", f"begins like a WebP picture {_DAMAGED}"),
    (b"RIFF", f"is a sound or a video, {_FRAME}"),
    (b"II[*+]\0", f"begins like a TIFF picture {_RARE}"),
    (b"MM\0[*+]", f"begins like a TIFF picture {_RARE}"),
    (b"BM", f"begins like a BMP picture {_DAMAGED}"),
    (b"\0\0\1\0", f"begins like an icon {_DAMAGED}"),
    (b"8BPS", "begins like a Photoshop file but has no merged picture that can be read; export it as PNG"),
    (b"gimp xcf", f"is a GIMP file, {_EXPORT}"),
    (b"\xff\x0a", f"is a JPEG XL picture, {_EXPORT}"),
    (b"\0\0\0\x0cJXL ", f"is a JPEG XL picture, {_EXPORT}"),
    (b"%PDF", f"is a PDF document, {_EXPORT}"),
    (b"%!PS", f"is a PostScript drawing, {_EXPORT}"),
    (b"\xc5\xd0\xd3\xc6", f"is a PostScript drawing, {_EXPORT}"),
    (b"PK\x03\x04", f"is a zip archive or a document kept in one (Krita, OpenRaster, Office), {_EXPORT}"),
    (b"\x1aE\xdf\xa3", f"is a video, {_FRAME}"),
    (b"....ftyp", f"is a video, {_FRAME}"),
    (b"version https://git-lfs", "is a Git LFS pointer, not the picture; fetch it with `git lfs pull`"),
)
"""Regular expressions over bytes, and what a file that matches is."""

_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_PLUGINS = {"AVIF": ("pillow_avif", "pillow-avif-plugin"), "HEIC": ("pillow_heif", "pillow-heif")}
"""The module and the package that teach Pillow a format."""


def readable_formats() -> list[str]:
    """The formats of `READABLE` that this Pillow, with the plugins loaded so far, knows."""
    Image.init()
    return [name for name in READABLE if name in Image.OPEN]


def load_plugin(head: bytes) -> bool:
    """Loads the optional decoder for a file that begins with `head`; False where there is none."""
    kind = _iso_kind(head)
    plugin = _import_plugin(kind) if kind else None
    if plugin is not None and kind == "HEIC":
        plugin.register_heif_opener()
    return plugin is not None


def describe(head: bytes) -> str:
    """What an unreadable file beginning with `head` is and what to do: a sentence without subject and full stop."""
    kind = _iso_kind(head)
    if kind is not None:
        native = kind == "AVIF" and "avif" in features.modules and features.check("avif")
        if native or _import_plugin(kind) is not None:
            return f"begins like an {kind} picture {_RARE}"
        package = _PLUGINS[kind][1]
        return f"is an {kind} picture, which needs the package {package}; run `{install_command((package,))}`"
    for beginning, meaning in _BEGINNINGS:
        if re.match(beginning, head, re.DOTALL):
            return meaning
    return _describe_text(head)


def settle_packet(image: Image.Image) -> None:
    """A TIFF may hold letters or a number where its XMP packet belongs. Pillow gives those as they are and looks in
    bytes for the way up, which fails."""
    packet = image.info.get("xmp", b"")
    if not isinstance(packet, bytes):
        image.info["xmp"] = packet.encode("latin-1", "replace") if isinstance(packet, str) else b""


def icon_sizes(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """The sizes (width, height) that the pictures in an ICO or CUR file give themselves.

    The directory of the file, which is all that Pillow goes by before it decodes, may lie about them.
    Yields nothing for files of other formats.
    """
    stream.seek(0)
    reserved, kind, count = struct.unpack("<HHH", stream.read(6).ljust(6, b"\xff"))
    directory = stream.read(16 * count) if (reserved == 0 and kind in (1, 2)) else b""
    for (offset,) in struct.iter_unpack("<12xI", directory[: len(directory) // 16 * 16]):
        stream.seek(offset)
        picture = stream.read(24).ljust(24, b"\0")
        if picture.startswith(PNG_SIGNATURE):
            yield struct.unpack(">16xII", picture)
        else:
            width, height = struct.unpack("<4xii12x", picture)
            yield abs(width), abs(height) // 2  # the colours and the mask, one above the other


def soon_says_its_size(stream: BinaryIO, head: bytes) -> bool:
    """False for a PNM whose numbers stand behind long comments or blanks, which Pillow reads byte by byte. True for
    files of other formats."""
    if not re.match(rb"P[0-9A-Za-z]{1,5}[\s#]", head):
        return True
    stream.seek(0)
    start = re.sub(rb"#[^\r\n]*[\r\n]?", b" ", stream.read(_PNM_HEAD))
    return len(start.split(None, 4)) >= (3 if head[1:2] in b"14" else 4) or stream.seek(0, io.SEEK_END) <= _PNM_HEAD


def read_whole(head: bytes) -> bool:
    """Whether the decoder of a file that begins with `head` reads all of it before it knows the picture's size."""
    return _iso_kind(head) is not None or re.match(b"RIFF....WEBP", head, re.DOTALL) is not None


def _iso_kind(head: bytes) -> str | None:
    """AVIF or HEIC, by the brands at the start of a file in the ISO base media format."""
    if head[4:8] != b"ftyp":
        return None
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[at : at + 4] for at in (8, *range(16, length, 4))}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIC" if brands & _HEIC_BRANDS else None


def _import_plugin(kind: str) -> ModuleType | None:
    try:
        return importlib.import_module(_PLUGINS[kind][0])
    except ImportError:
        return None


def _describe_text(head: bytes) -> str:
    text = head.decode("latin-1").lower()
    if "<svg" in text:
        return f"is an SVG drawing, {_EXPORT}"
    if "<!doctype html" in text or "<html" in text:
        return "is a web page, not a picture; open its address in a browser and save the picture itself"
    if not re.search(rb"[\x00-\x08\x0e-\x1a]", head):
        return f"is text, not a picture; {_GIVE}"
    return f"is not a picture in a format that can be read; {_GIVE}"
