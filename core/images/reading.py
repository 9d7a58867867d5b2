"""Any picture a user may hand over (file, bytes, PIL image, array, tensor) as an RGB image."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import math
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..cures import Take
from ..errors import Cancelled, ImageError, SettingsError
from ..settings import Fit
from . import formats, strips
from .budget import ask_for
from .limits import MOST_BYTES, check_cost, check_scans, check_size, reduce_early
from .pixels import array_to_image, tensor_to_array
from .sieve import sifted
from .tags import overstated, sound_tags

PAD_COLOR = (123, 117, 104)
"""The mean colour of CLIP's training pictures. The model's normalisation turns it into about zero, so bars of
it say less to the model than black or white ones, which it would take for a letterbox or a frame."""

_ORIENTATION_TAG = 0x0112
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def open_images(sources: Any) -> list[Image.Image]:
    """A list or tuple of pictures, or one picture, as `open_image` takes them. Raises SettingsError where there is
    none, and ImageError."""
    several = sources if isinstance(sources, list | tuple) else [sources]
    if not several:
        raise SettingsError("There is no picture", "give one or more")
    return [open_image(source) for source in several]


def open_each(sources: Any) -> list[Image.Image] | Iterator[Image.Image]:
    """The same, but that pictures which come from an iterator are opened already, and stay one by one. A file, which is
    an iterator of its lines, is a picture."""
    if isinstance(sources, Iterator) and not hasattr(sources, "read"):
        return sources
    return open_images(sources)


def open_image(source: Any, name: str | None = None) -> Image.Image:
    """Reads a picture: mode RGB, loaded, upright by its EXIF orientation, without metadata, a copy.

    `source` is one of
    - a path (str or PathLike), or what a file holds: bytes, bytearray, memoryview, or a binary file object,
      which is read from its beginning. The content decides the format, not the name. Of an animation the
      first frame is taken.
    - a PIL image in any mode. Of an animation the current frame is taken.
    - a NumPy array or a torch tensor of the shape (H, W), (H, W, C) or (C, H, W) with C 1, 3 or 4, with or
      without a leading axis of length 1, in uint8 0..255 or floating point 0..1. A shape that fits both
      orders is taken as (H, W, C).

    Transparent parts are laid over white. Greys of 16 bits are scaled from their full range; 32-bit and
    floating point ones from the smallest usual range (0..1, 0..255, 0..65535) that holds all their values, or
    else from their lowest to their highest value. What has more than `strips.MOST_KEPT` pixels is reduced to fewer
    as it is read; `original_size` says from what.

    `name` is what error messages call the picture. Raises ImageError and nothing else,
    but what whoever waits for room for pixels is told (`budget.Ticket`): Cancelled.
    """
    label = _label(source, name)
    try:
        return _read(source, label)
    except (ImageError, Cancelled):
        raise
    except MemoryError as error:
        raise ImageError(f"{label} takes more memory than there is", "make it smaller") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{label} has more pixels than Pillow is set to allow", "make it smaller") from error
    except Exception as error:  # decoders raise anything at all for bytes they did not expect
        reason = (str(error).splitlines() or [""])[0].strip(" .") or type(error).__name__
        raise ImageError(
            f"{label} cannot be decoded ({reason}) because it is damaged, cut off or of a rare kind",
            "download it again or save it as PNG",
        ) from error


@contextlib.contextmanager
def opened(source: Any, name: str | None = None) -> Iterator[tuple[BinaryIO, str]]:
    """The file at a path, or given as bytes or as a binary file object, at its beginning; and what to call it.

    Raises ImageError where it cannot be opened, and for pictures that are no file.
    """
    label = _label(source, name)
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield io.BytesIO(bytes(source)), label
    elif isinstance(source, (str, os.PathLike)):
        with _open_file(os.fsdecode(source), label) as stream:
            yield stream, label
    elif hasattr(source, "read"):
        yield _read_stream(source, label), label
    else:
        raise ImageError(f"{label} is of the type {type(source).__name__}", "give a path, bytes or a binary file")


def fit_image(image: Image.Image, fit: Fit) -> Image.Image:
    """Prepares a picture for a model that sees a square.

    - "crop" changes nothing: the model's own preprocessing takes the square in the middle, as CLIP does.
    - "pad" centres the whole picture on a square of `PAD_COLOR`.
    - "squash" resizes the whole picture to a square, bicubically.

    The square is as long as the picture's longer side, or shorter where it would pass `MOST_KEPT`. A square
    picture is returned as it is.
    """
    if fit == "crop" or image.width == image.height:
        return image
    longer = max(image.size)
    side = min(longer, math.isqrt(strips.MOST_KEPT))
    if fit == "squash":
        return image.resize((side, side), Image.Resampling.BICUBIC)
    if side < longer:
        width, height = (max(1, round(length * side / longer)) for length in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    square = Image.new("RGB", (side, side), PAD_COLOR)
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def image_key(image: Image.Image) -> str:
    """SHA-256, in hexadecimal, of mode, size and pixels: the same for the same picture in every process."""
    digest = hashlib.sha256(f"{image.mode} {image.width} {image.height} ".encode())
    digest.update(image.tobytes())
    return digest.hexdigest()


def _label(source: Any, name: str | None) -> str:
    """The subject of error messages."""
    if name is None and isinstance(source, (str, os.PathLike)):
        name = os.fsdecode(source)
    if not name:
        return "The picture"
    printable = name.encode(errors="backslashreplace").decode()  # names of files may hold lone surrogates
    return f'"{printable}"'


def _read(source: Any, label: str) -> Image.Image:
    if isinstance(source, Image.Image):
        return _finish(source, label)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode(io.BytesIO(bytes(source)), label)
    if isinstance(source, (str, os.PathLike)):
        with _open_file(os.fsdecode(source), label) as stream:
            return _decode(stream, label)
    if hasattr(source, "read"):
        return _decode(_read_stream(source, label), label)
    torch = sys.modules.get("torch")  # whoever holds a tensor has imported it
    if torch is not None and isinstance(source, torch.Tensor):
        return _finish(array_to_image(tensor_to_array(source), label), label)
    if hasattr(source, "__array__"):
        return _finish(array_to_image(np.asarray(source), label), label)
    raise ImageError(
        f"{label} is of the type {type(source).__name__}",
        "give a path, bytes, a binary file, a PIL image, a NumPy array or a torch tensor",
    )


def _open_file(path: str, label: str) -> BinaryIO:
    try:
        if not path:
            raise ImageError(f"{label} has an empty path", "give the path of a picture file")
        mode = Path(path).stat().st_mode
        if stat.S_ISDIR(mode):
            raise ImageError(f"{label} is a folder", "give a picture in it", Take("describe a folder"))
        if not stat.S_ISREG(mode):  # opening a pipe or a device could wait for ever
            raise ImageError(f"{label} is not a regular file", "give a picture file")
        return Path(path).open("rb")
    except PermissionError as error:
        raise ImageError(f"{label} may not be read by this user", "change its permissions") from error
    except (OSError, ValueError) as error:
        if path.lower().startswith(("http://", "https://", "data:")):
            raise ImageError(f"{label} is a web address", "download the picture and give its file") from error
        if isinstance(error, OSError) and error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise ImageError(f"{label} cannot be opened ({error.strerror})", "check path and disk") from error
        raise ImageError(f"{label} does not exist", "check the path") from error


def _read_stream(source: Any, label: str) -> BinaryIO:
    with contextlib.suppress(AttributeError, OSError):  # a pipe has no beginning to go back to
        source.seek(0)
    data = source.read(MOST_BYTES + 1)
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise ImageError(f"{label} is not a file opened for binary reading", "open it with the mode 'rb'")
    return io.BytesIO(data)


def _decode(stream: BinaryIO, label: str) -> Image.Image:
    head = stream.read(formats.HEAD_BYTES)
    if not head:
        raise ImageError(f"{label} is empty (0 bytes)", "download or save it again")
    size = stream.seek(0, io.SEEK_END)
    _check_file(stream, head, size, label)
    try:
        with _identify(sifted(stream, head, label), head) as image:
            check_size(image.size, label)
            check_cost(image, size, label)
            check_scans(image, stream, label)
            original, reduced = image.size, reduce_early(image)
            ask_for(image.width * image.height)
            formats.settle_packet(image)
            image.load()  # in older versions of Pillow only this turns the size of a TIFF
            return _finish(image, label, original if reduced else image.size)
    except UnidentifiedImageError as error:
        raise ImageError(f"{label} {formats.describe(head)}") from error


def _check_file(stream: BinaryIO, head: bytes, size: int, label: str) -> None:
    """What Pillow would stumble over in the very opening."""
    for icon in formats.icon_sizes(stream):
        check_size(icon, label)
    if head[:4] in formats.TIFF_BEGINNINGS and not sound_tags(stream, size):
        raise ImageError(f"{label} has tags that claim more than the file holds", "save it again")
    if not formats.soon_says_its_size(stream, head):
        raise ImageError(f"{label} has much before its size, which would be read letter by letter", "save it again")
    if size > MOST_BYTES and formats.read_whole(head):
        raise ImageError(f"{label} has {size:,} bytes, which would all have to be read first", "make it smaller")


def _identify(stream: BinaryIO, head: bytes) -> Image.Image:
    stream.seek(0)
    try:
        return Image.open(stream, formats=formats.readable_formats())
    except UnidentifiedImageError:
        if not formats.load_plugin(head):
            raise
    stream.seek(0)
    return Image.open(stream, formats=formats.readable_formats())


def _finish(image: Image.Image, label: str, original: tuple[int, int] | None = None) -> Image.Image:
    check_size(image.size, label)
    if original is None:  # nothing was asked for yet
        ask_for(image.width * image.height)
    image.load()
    return strips.upright_rgb(image, label, _ORIENTATIONS.get(_orientation(image)), original)


def _orientation(image: Image.Image) -> int:
    if image.format == "TIFF":  # Pillow turned it as it loaded it; older versions leave the tag in place
        return 1
    try:
        tags = image.info.get("exif")
        if isinstance(tags, bytes) and overstated(tags):
            return 1
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001 - a broken tag block, which says nothing about the pixels
        return 1
    return value if isinstance(value, int) else 1
