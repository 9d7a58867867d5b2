"""Small sound pictures in every format that is read, to be mutated: some with what decoders trip over."""

from __future__ import annotations

import functools
import io
import struct
import zlib

import numpy as np
from PIL import Image, features

WIDTH, HEIGHT = 45, 30


@functools.cache
def picture_seeds() -> dict[str, bytes]:
    """Files by a name of their kind. A format that this Pillow cannot write is left out, not the ones made by hand."""
    seeds: dict[str, bytes] = {}
    for name, (image, format, options) in _written().items():
        try:
            seeds[name] = _encoded(image, format, options)
        except (KeyError, OSError, ValueError, TypeError):  # this Pillow has no such encoder
            continue
    icon = seeds["ico bmp"]
    seeds["cur"] = icon[:2] + b"\2" + icon[3:]
    seeds["psd"] = _photoshop(packed=False)
    seeds["psd packed"] = _photoshop(packed=True)
    seeds["png with texts"] = with_png_chunks(seeds["png"], _png_texts())
    return seeds


def with_png_chunks(png: bytes, chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG file with further chunks behind its header."""
    header = 8 + 12 + 13
    return png[:header] + b"".join(png_chunk(kind, data) for kind, data in chunks) + png[header:]


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _photo() -> Image.Image:
    """A slope of colours with some noise, so that no encoder gets away with a few bytes."""
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH]
    slope = np.stack([across * 5, down * 8, (across + down) * 3], axis=-1)
    noise = np.random.default_rng(7).integers(0, 24, slope.shape)
    return Image.fromarray((slope + noise).clip(0, 255).astype(np.uint8))


def _written() -> dict[str, tuple[Image.Image, str, dict]]:
    """name: picture, Pillow's name of the format, options of its encoder."""
    photo, exif = _photo(), Image.Exif()
    exif[0x0112] = 6
    turned = {"save_all": True, "append_images": [photo.rotate(90), photo.rotate(180)]}
    clear = photo.convert("RGBA")
    clear.putalpha(100)
    deep = Image.fromarray(np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 40)
    grey, few = photo.convert("L"), photo.quantize(16)
    floats = Image.fromarray(np.linspace(0, 1, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH))
    seeds = {
        "png": (photo, "PNG", {"exif": exif}),
        "apng": (photo, "PNG", turned),
        "png palette": (few, "PNG", {"transparency": bytes(range(0, 256, 16))}),
        "png bits": (grey.convert("1"), "PNG", {}),
        "png deep": (deep, "PNG", {}),
        "png clear": (clear, "PNG", {"icc_profile": b"profile" * 40}),
        "jpeg": (photo, "JPEG", {"exif": exif}),
        "jpeg progressive": (photo, "JPEG", {"progressive": True, "comment": b"a comment"}),
        "jpeg grey": (grey, "JPEG", {}),
        "cmyk": (photo.convert("CMYK"), "JPEG", {"progressive": True}),
        # the table that older versions of Pillow write has room for two pictures, a third spoils the first
        "mpo": (photo, "MPO", {"save_all": True, "append_images": [photo.rotate(90)]}),
        "gif": (photo, "GIF", turned),
        "gif clear": (few, "GIF", {"transparency": 3, "interlace": 1}),
        "webp": (clear, "WEBP", {"exif": exif.tobytes()}),
        "webp lossless": (clear, "WEBP", {"lossless": True}),
        "webp animated": (photo, "WEBP", turned),
        "bmp": (photo, "BMP", {}),
        "bmp palette": (few, "BMP", {}),
        "dib": (photo, "DIB", {}),
        "tiff": (photo, "TIFF", {"exif": exif}),
        "tiff pages": (photo, "TIFF", turned),
        "tiff bits": (grey.convert("1"), "TIFF", {"compression": "group4"}),
        "tiff deep": (deep, "TIFF", {}),
        "tiff floats": (floats, "TIFF", {"compression": "tiff_adobe_deflate"}),
        "tiff palette": (few, "TIFF", {}),
        "ico": (clear, "ICO", {"sizes": [(16, 16), (24, 24)]}),
        "ico bmp": (clear, "ICO", {"sizes": [(16, 16)], "bitmap_format": "bmp"}),
        "jpeg2000": (photo, "JPEG2000", {}),
        "jpeg2000 lossless": (clear, "JPEG2000", {"irreversible": False}),
        "ppm": (photo, "PPM", {}),
        "pgm": (grey, "PPM", {}),
        "pbm": (grey.convert("1"), "PPM", {}),
        "tga": (clear, "TGA", {"compression": "tga_rle"}),
        "tga palette": (few, "TGA", {}),
        "pcx": (photo, "PCX", {}),
        "sgi": (photo, "SGI", {}),
        "dds": (clear, "DDS", {}),
        "dds packed": (clear, "DDS", {"pixel_format": "DXT5"}),
        "qoi": (photo, "QOI", {}),
    }
    for packing in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma"):
        seeds[f"tiff {packing}"] = (photo, "TIFF", {"compression": packing})
    if "avif" in features.modules and features.check("avif"):
        seeds["avif"] = (clear, "AVIF", {"speed": 10})
        seeds["avif animated"] = (photo, "AVIF", {**turned, "speed": 10})
    return seeds


def _encoded(image: Image.Image, format: str, options: dict) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _png_texts() -> list[tuple[bytes, bytes]]:
    words = zlib.compress(b"a castle at dawn, " * 400)
    return [
        (b"tEXt", b"parameters\0a castle"),
        (b"zTXt", b"prompt\0\0" + words),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b'<x tiff:Orientation="3"/>')),
        (b"iCCP", b"profile\0\0" + words),
    ]


def _photoshop(packed: bool) -> bytes:
    """A merged picture without layers, as Photoshop keeps it: a plane a channel, rows packed or as they are."""
    planes = np.moveaxis(np.asarray(_photo()), 2, 0)
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 1, 3, HEIGHT, WIDTH, 8, 3) + bytes(12)
    if not packed:
        return head + b"\0\0" + planes.tobytes()
    rows = [bytes([WIDTH - 1]) + row.tobytes() for row in planes.reshape(-1, WIDTH)]
    return head + b"\0\1" + struct.pack(f">{len(rows)}H", *map(len, rows)) + b"".join(rows)
