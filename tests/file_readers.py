"""Everything here that reads a file from elsewhere, with small right ones to begin from."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from image_files import LOSSLESS, flags
from mutations import Files


class Reader(NamedTuple):
    """read: given a file's path, or the folder's where a seed has several files. costly: it takes long to read one."""

    name: str
    seeds: Callable[[], Sequence[Files]]
    read: Callable[[Path], object]
    costly: bool = False


def _pictures() -> list[Files]:
    seeds: list[Files] = []
    for format, options in LOSSLESS.items():
        stream = io.BytesIO()
        flags().save(stream, format, **options)
        seeds.append({"picture": stream.getvalue()})
    return seeds


def _open_picture(path: Path) -> None:
    from unrender.core.images import open_image

    open_image(path)


READERS = {reader.name: reader for reader in (Reader("pictures", _pictures, _open_picture),)}
