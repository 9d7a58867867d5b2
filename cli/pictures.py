"""The pictures that a command line names."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import ImageError
from .streams import complain

if TYPE_CHECKING:
    from PIL.Image import Image


STANDARD_INPUT = "-"
PICTURE_SUFFIXES = frozenset(
    (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif", ".jxl", ".jp2")
)
"""Of what is a picture's name rather than words."""


def expand(names: Sequence[str]) -> list[str]:
    """The pictures meant by `names`; patterns are expanded where the shell did not (Windows), in order."""
    images: list[str] = []
    for name in names:
        matches = [] if name == STANDARD_INPUT or Path(name).exists() else sorted(glob.glob(name))  # noqa: PTH207
        images.extend(matches or [name])
    return images


def is_picture_file(text: str) -> bool:
    """Whether a text, where it could be words as well, is a picture's file. Raises ImageError for one named like a
    picture that is not there."""
    if os.path.isfile(text):  # noqa: PTH113  pathlib fails on texts too long for a file's name
        return True
    if os.path.splitext(text)[1].casefold() in PICTURE_SUFFIXES:  # noqa: PTH122
        raise ImageError(f"There is no picture {text}", "check the path")
    return False


def read_picture(name: str) -> Image:
    """A file's picture, or that on standard input for "-". Raises ImageError."""
    from ..core.images import open_image

    piped = name == STANDARD_INPUT
    return open_image(sys.stdin.buffer.read() if piped else name, name="standard input" if piped else name)


def readable_pictures(names: Sequence[str]) -> Iterator[tuple[str, Image]]:
    """Each picture with its name; of one that cannot be read a line on standard error says why."""
    for name in names:
        try:
            picture = read_picture(name)
        except ImageError as error:
            complain(error)
        else:
            yield name, picture
