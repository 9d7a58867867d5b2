"""The index of a folder: one safetensors file with embeddings, and with the files they belong to."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..batch.append import HIDDEN, replace_file
from ..cures import Choose, Give, Take
from ..errors import IndexFileError, SettingsError
from ..files import NotAFileError, refuse_other

if TYPE_CHECKING:
    from ..engine import Engine

_FORMAT = "unrender index 1"
_USUAL_NAME = "index.safetensors"
_OTHER_INDEX = "make another index"
_SAME_MODEL = 0.99  # precisions and devices differ by less, other weights by more


@dataclass(frozen=True)
class Entry:
    """A picture's file. name: below the folder, with slashes. size in bytes, modified in nanoseconds, digest the
    SHA-256 of its bytes in hexadecimal."""

    name: str
    size: int
    modified: int
    digest: str


@dataclass(frozen=True)
class PictureIndex:
    """root: the folder. model, fit: what the pictures were seen with, as Settings have them.
    features: [pictures, width] float32, normalised. turned: [pictures, 3, width] float16, the same pictures turned to
    the left by 90, 180 and 270 degrees, zeros where nobody has asked for that yet.
    probe: [width] float32, what the model sees in a picture that is always the same."""

    root: Path
    model: str
    fit: str
    entries: tuple[Entry, ...]
    features: np.ndarray
    turned: np.ndarray
    probe: np.ndarray

    def __len__(self) -> int:
        return len(self.entries)

    def path(self, row: int) -> Path:
        return self.root / self.entries[row].name

    def check(self, engine: Engine) -> None:
        """Raises IndexFileError where the engine sees pictures in another way than this index did."""
        settings = engine.settings
        if settings.fit != self.fit:
            raise IndexFileError(
                f"The index of {self.root} was made with pictures fitted by {self.fit}, not {settings.fit}",
                Choose("fit", (self.fit,)),
                _OTHER_INDEX,
            )
        probe = probe_of(engine)
        if probe.shape != self.probe.shape or float(probe @ self.probe) < _SAME_MODEL:
            raise IndexFileError(
                f"The index of {self.root} was made with {self.model}, which sees otherwise than {settings.clip}",
                Choose("clip", (self.model,)),
                _OTHER_INDEX,
            )


def index_file(place: str | os.PathLike[str]) -> Path:
    """The index that a user names: itself, or the folder it is about, which usually holds it."""
    path = Path(place)
    return path / HIDDEN / _USUAL_NAME if path.is_dir() else path


def probe_of(engine: Engine) -> np.ndarray:
    """float32 [width]: what the engine's CLIP sees in a drawing with colours, edges, and an up."""
    rows, columns = np.mgrid[0:64, 0:64]
    drawing = np.stack([4 * columns, 4 * rows, 255 * ((rows // 8 + columns // 16) % 2)], -1).astype(np.uint8)
    return engine.picture_features(drawing)[0].numpy()


def write_index(path: Path, index: PictureIndex) -> None:
    """Replaces the file at once, held by `changing`. Raises IndexFileError where it cannot be written."""
    from safetensors.numpy import save

    table = [[each.name, each.size, each.modified, each.digest] for each in index.entries]
    tensors = {
        # a tensor, since the header that holds metadata has a greatest size
        "entries": np.frombuffer(json.dumps(table).encode("ascii"), np.uint8),
        "features": index.features.astype(np.float16),
        "turned": index.turned.astype(np.float16),
        "probe": index.probe.astype(np.float32),
    }
    metadata = {"format": _FORMAT, "model": index.model, "fit": index.fit, "root": _root_from(path, index.root)}
    try:
        replace_file(path, save(tensors, metadata))
    except OSError as error:
        raise _unwritable(path, error) from error


@contextlib.contextmanager
def changing(path: Path) -> Iterator[None]:
    """Holds an index while it is changed. Raises IndexFileError where another run does, or its folder is not to be
    written."""
    from filelock import FileLock, Timeout

    lock = FileLock(str(path.with_name(f".{path.name}.lock")))
    try:
        if path.parent.name == HIDDEN and path.parent.is_symlink():
            raise NotAFileError(path.parent, path.parent.lstat().st_mode)
        path.parent.mkdir(parents=True, exist_ok=True)
        refuse_other(Path(lock.lock_file))
        lock.acquire(timeout=0)
    except Timeout as error:
        raise IndexFileError(f"Another run is changing the index {path}", "wait until it is done") from error
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield
    finally:
        lock.release()


def _unwritable(path: Path, error: OSError) -> IndexFileError:
    return IndexFileError(f"The index cannot be written to {path} ({error.strerror})", Give("index", "another place"))


def read_index(place: str | os.PathLike[str]) -> PictureIndex:
    """The index in a file, or the one that a folder holds. Raises IndexFileError (absent, damaged, no index)."""
    from safetensors import SafetensorError, safe_open

    path = index_file(place)
    if not path.is_file():
        raise IndexFileError(f"There is no index {path}", Take("index the folder"))
    try:
        with safe_open(str(path), "np") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise IndexFileError(f"{path} is no index of pictures", Take("index the folder"))
            tensors = {name: file.get_tensor(name) for name in ("entries", "features", "turned", "probe")}
        return _assembled(path, metadata, tensors)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise IndexFileError(f"The index {path} is damaged", "delete it and index the folder anew") from error


def _assembled(path: Path, metadata: dict[str, str], tensors: dict[str, Any]) -> PictureIndex:
    entries = tuple(Entry(*row) for row in json.loads(tensors["entries"].tobytes()))
    features, turned, probe = tensors["features"].astype(np.float32), tensors["turned"], tensors["probe"]
    count, width = features.shape
    if len(entries) != count or turned.shape != (count, 3, width) or probe.shape != (width,):
        raise ValueError("the parts of the index do not fit")
    root = Path(os.path.normpath(path.parent / metadata["root"]))
    return PictureIndex(root, metadata["model"], metadata["fit"], entries, features, turned, probe)


def _root_from(path: Path, root: Path) -> str:
    """Seen from the file, so that both can be moved together; on another drive than the file's as it is."""
    try:
        return Path(os.path.relpath(root.resolve(), path.parent.resolve())).as_posix()
    except ValueError:
        return str(root.resolve())


def refuse_empty(index: PictureIndex) -> None:
    """SettingsError for an index without pictures."""
    if not len(index):
        raise SettingsError(f"The index of {index.root} holds no pictures", "index a folder that has some")
