"""What the tests of refusals share: models that nobody may load, and files that have to stay as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from PIL import Image
from unrender.core import hub
from unrender.core.clip import load as clip_loading
from unrender.core.describe.writing import loading as captioner_loading
from unrender.core.embed.embedding import PromptEmbedding
from unrender.core.index import Entry, PictureIndex, index_file, write_index
from unrender.core.variation import checkpoint as checkpoint_loading

_LOADERS = (
    *((clip_loading._Loader, name) for name in ("from_hub", "from_transformers_folder", "_from_transformers_state")),
    *((clip_loading._Loader, name) for name in ("_from_open_clip_parts", "_from_open_clip_folder")),
    (captioner_loading, "load_model"),
    *((checkpoint_loading, name) for name in ("_read", "fetch_pipeline", "fetch_settings")),
    *((hub.Hub, name) for name in ("fetch", "fetch_model", "list_files")),
)


def forbid_models(patch: pytest.MonkeyPatch) -> list[str]:
    """Has every way to a model's weights fail. Returns those that were tried, for who catches whatever is raised."""
    tried: list[str] = []

    def forbidden(name: str) -> Any:
        def load(*_: Any, **__: Any) -> NoReturn:
            tried.append(name)
            raise AssertionError(f"a model was loaded, or asked for, by {name}")

        return load

    for owner, name in _LOADERS:
        patch.setattr(owner, name, forbidden(name))
    return tried


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Nothing in the folder is made, taken away or written."""

    def state() -> dict[Path, bytes]:
        return {path: path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}

    before = state()
    yield
    after = state()
    assert sorted(after) == sorted(before), "files were made or taken away"
    assert after == before, "a file was written"


def write_files(folder: Path) -> None:
    """red.png, blue.png and broken.png, a mask that shows nothing, folders of pictures and of phrases, an index, saved
    embeddings, and lists."""
    for name, colour in (("red", "red"), ("blue", "blue"), ("black", "black")):
        Image.new("RGB", (32, 24), colour).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "note").write_text("a file")
    for name in ("pictures", "one", "nothing", "words", "sealed"):
        (folder / name).mkdir()
    for number in range(9):
        Image.new("RGB", (16, 16), (20 * number, 0, 0)).save(folder / "pictures" / f"{number}.png")
    Image.new("RGB", (16, 16)).save(folder / "one" / "0.png")
    (folder / "words" / "moods.txt").write_text("calm\nloud\n")
    (folder / "list.csv").write_text("image\nred.png\n")
    write_index(index_file_of(folder / "pictures"), _index(folder / "pictures", 9))
    write_index(index_file_of(folder / "one"), _index(folder / "one", 0))
    for name, family in (("toy", "micro"), ("sd15", "sd15")):
        width = {"micro": 128, "sd15": 768}[family]
        PromptEmbedding(family, torch.zeros(77, width)).save(folder / f"{name}.safetensors")
    (folder / "torn.safetensors").write_bytes(b"no embedding")


def index_file_of(folder: Path) -> Path:
    path = index_file(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _index(folder: Path, count: int) -> PictureIndex:
    entries = tuple(Entry(f"{number}.png", 1, 1, f"{number}") for number in range(count))
    features, turned = np.zeros((count, 4), np.float32), np.zeros((count, 3, 4), np.float16)
    return PictureIndex(folder, "micro", "crop", entries, features, turned, np.zeros(4, np.float32))


def seal(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Has the folder be one that may not be written, which it cannot be for whoever is the superuser."""
    import os

    asked = os.access

    def access(path: Any, mode: int) -> bool:
        return False if Path(path) == folder or Path(path).absolute() == folder else asked(path, mode)

    patch.setattr(os, "access", access)
