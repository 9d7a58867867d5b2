"""Everything here that reads a file from elsewhere, with small right ones to begin from."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from batch_readers import BATCH_READERS
from file_seeds import SEEDS, Seed
from mutations import Files, Reader
from picture_seeds import picture_seeds

METADATA = Path(__file__).parent / "data" / "metadata"


def _pictures() -> list[Files]:
    return [{"picture": data} for data in picture_seeds().values()]


def _open_picture(folder: Path) -> None:
    from unrender.core.images import open_image

    open_image(folder / "picture")


def _metadata() -> list[Files]:
    return [{path.name: path.read_bytes()} for path in sorted(METADATA.iterdir()) if path.stat().st_size < 10_000]


def _read_metadata(folder: Path) -> None:
    from unrender.core.metadata import read_metadata

    (path,) = folder.iterdir()
    read_metadata(path)


def _texts_of(*keys: str) -> list[Files]:
    """Of the files above, those texts, each a file of its own."""
    from unrender.core.metadata.file_texts import read_texts

    texts = [read_texts(path) for path in sorted(METADATA.iterdir())]
    return [
        {key: found[key].encode()} for found in texts for key in keys if len(found.get(key, "")) in range(1, 10_000)
    ]


def _interpret(folder: Path) -> None:
    from unrender.core.metadata.interpretation import interpret

    interpret({path.name: path.read_text("utf-8", "surrogatepass") for path in folder.iterdir() if _is_text(path)})


def _is_text(path: Path) -> bool:
    try:
        path.read_text("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


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
    for reader in (
        Reader("pictures", _pictures, _open_picture),
        Reader("metadata", _metadata, _read_metadata),
        Reader("parameters", lambda: _texts_of("parameters"), _interpret),
        Reader("graphs", lambda: _texts_of("prompt", "workflow"), _interpret),
        *map(_of_seed, SEEDS),
        *BATCH_READERS,
    )
}
