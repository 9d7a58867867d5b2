"""Picture files with texts in them, made as programs make them."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image, PngImagePlugin


def png(**texts):
    """A PNG with texts; a tuple's second says how: "z" compressed, "i" international and compressed."""
    info = PngImagePlugin.PngInfo()
    for key, value in texts.items():
        text, kind = value if isinstance(value, tuple) else (value, "")
        if kind == "i":
            info.add_itxt(key, text, zip=True)
        else:
            info.add_text(key, text, zip=kind == "z")
    data = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(data, "PNG", pnginfo=info)
    return data.getvalue()


def exif_block(tags, user_comment=None):
    """An EXIF block as cameras and webuis write it, by hand: old Pillows cannot write a user comment."""
    entries = [(tag, 2, text.encode() + b"\0") for tag, text in sorted(tags.items())]
    own_at = 8 + 2 + 12 * (len(entries) + 1) + 4
    data_at = own_at + (18 if user_comment is not None else 0)
    blobs = [data + b"\0" * (5 - len(data)) for _, _, data in entries]  # up to four bytes would stand in the entry
    block = struct.pack("<2sHIH", b"II", 42, 8, len(entries) + (user_comment is not None))
    for (tag, kind, _), blob in zip(entries, blobs, strict=True):
        block += struct.pack("<HHII", tag, kind, len(blob), data_at)
        data_at += len(blob)
    if user_comment is not None:
        block += struct.pack("<HHII", 0x8769, 4, 1, own_at)
    block = (block + bytes(4)).ljust(own_at, b"\0")
    if user_comment is not None:
        block += struct.pack("<HHHIII", 1, 0x9286, 7, len(user_comment), data_at, 0)
        blobs.append(user_comment)
    return b"Exif\0\0" + block + b"".join(blobs)


def with_exif(format_name, tags, user_comment=None):
    data = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(data, format_name, exif=exif_block(tags, user_comment))
    return data.getvalue()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_with(*chunks, after=b""):
    plain = png()
    return plain[:33] + b"".join(chunks) + plain[33:] + after
