"""Everything here that reads a file from elsewhere, with small right ones to begin from."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from batch_readers import BATCH_READERS
from file_seeds import SEEDS, Seed
from mutations import Files, Reader
from picture_seeds import picture_seeds


def _pictures() -> list[Files]:
    return [{"picture": data} for data in picture_seeds().values()]


def _open_picture(folder: Path) -> None:
    from unrender.core.images import open_image

    open_image(folder / "picture")


def _of_seed(seed: Seed) -> Reader:
    @cache
    def files() -> Files:
        with tempfile.TemporaryDirectory() as place:
            seed.make(Path(place))
            return {path.name: path.read_bytes() for path in sorted(Path(place).iterdir())}

    def read(folder: Path) -> object:
        first, *more = files()
        return seed.read(folder if more else folder / first)

    return Reader(seed.name, lambda: [files()], read, seed.dear, seed.changed)


READERS = {
    reader.name: reader
    for reader in (Reader("pictures", _pictures, _open_picture), *map(_of_seed, SEEDS), *BATCH_READERS)
}
