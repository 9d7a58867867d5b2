"""The index of a folder: one safetensors file with embeddings, and with the files they belong to."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

import numpy as np

from ..batch.append import HIDDEN, replace_file
from ..cures import Choose, Give, Take
from ..errors import IndexFileError, SettingsError
from ..files import NotAFileError, refuse_other
from ..foreign import Header, Unreadable, parsed_json, read_header, read_tensors
from .tags import TENSORS, TagTable, check_tag_tensors, table_of

if TYPE_CHECKING:
    from ..engine import Engine

_FORMAT = "unrender index 1"
_USUAL_NAME = "index.safetensors"
_OTHER_INDEX = "make another index"
_LONGEST_ENTRY, _MOST_BRACKETS = 40_000, 20  # bytes of a name, in JSON; in names there are few
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
    probe: [width] float32, what the model sees in a picture that is always the same.
    tags: what a tagger said of the pictures; None where none was asked."""

    root: Path
    model: str
    fit: str
    entries: tuple[Entry, ...]
    features: np.ndarray
    turned: np.ndarray
    probe: np.ndarray
    tags: TagTable | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def path(self, row: int) -> Path:
        return self.root / self.entries[row].name

    def of_rows(self, rows: Sequence[int]) -> PictureIndex:
        """The same of some of the pictures."""
        some = list(rows)
        return replace(
            self,
            entries=tuple(self.entries[row] for row in some),
            features=self.features[some],
            turned=self.turned[some],
            tags=None if self.tags is None else self.tags.taken(some),
        )

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


def wherever(model: str) -> str:
    """A model that is a file or a folder, by a name that does not depend on where the program was started."""
    return str(Path(model).resolve()) if Path(model).exists() else model


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
    if index.tags is not None:
        tensors |= index.tags.tensors()
        metadata["told_by"] = index.tags.told_by
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
    path = index_file(place)
    if not path.is_file():
        raise IndexFileError(f"There is no index {path}", Take("index the folder"))
    try:
        header = read_header(path)
        if header.metadata.get("format") != _FORMAT:
            raise IndexFileError(f"{path} is no index of pictures", Take("index the folder"))
        return _assembled(path, header)
    except Unreadable as error:
        raise IndexFileError(f"The index {path} is damaged ({error})", "delete it and index the folder anew") from error


def _assembled(path: Path, header: Header) -> PictureIndex:
    """Raises Unreadable."""
    features = header.tensors.get("features")
    count, width = features.shape if features and len(features.shape) == 2 else (-1, -1)
    if count:
        header.shape("features", "F16", ndim=2)
        fits = header.shape("turned", "F16", ndim=3) == (count, 3, width)
    else:
        fits = "turned" in header.tensors
    if not fits or header.shape("probe", "F32", ndim=1) != (width,):
        raise Unreadable("its parts do not fit")
    header.shape("entries", "U8", ndim=1)
    has_tags = TENSORS[0] in header.tensors
    if has_tags:
        check_tag_tensors(header, count)
    tensors = read_tensors(path, ("entries", "features", "turned", "probe", *(TENSORS if has_tags else ())), "np")
    if not all(np.isfinite(tensors[name]).all() for name in ("features", "turned", "probe")):
        raise Unreadable("it holds what is no number")
    named = {name: header.metadata.get(name, "") for name in ("model", "fit", "root")}
    if not all(named.values()) or any("\0" in value for value in named.values()):
        raise Unreadable("it does not say what it was made with")
    entries, seen = _entries(tensors["entries"].tobytes(), count), tensors["features"].astype(np.float32)
    root = _root_of(path, named["root"])
    tags = table_of(tensors, header.metadata.get("told_by", "")) if has_tags else None
    return PictureIndex(root, named["model"], named["fit"], entries, seen, tensors["turned"], tensors["probe"], tags)


def _entries(data: bytes, count: int) -> tuple[Entry, ...]:
    """Raises Unreadable, also for names that lead out of the folder."""
    rows = parsed_json(data, _LONGEST_ENTRY * (count + 1), _MOST_BRACKETS * (count + 1))
    if not isinstance(rows, list) or len(rows) != count:
        raise Unreadable("its parts do not fit")
    for row in rows:
        fits = isinstance(row, list) and [type(each) for each in row] == [str, int, int, str]
        if not fits or not _is_inside(row[0]):
            raise Unreadable("what it says of a picture is not understood")
    return tuple(Entry(*row) for row in rows)


def _is_inside(name: str) -> bool:
    path = PurePath(name)
    return bool(path.parts) and not path.anchor and ".." not in path.parts and "\0" not in name


def _root_of(path: Path, told: str) -> Path:
    """An index in a folder is about that folder, whatever it says."""
    if (path.parent.name, path.name) == (HIDDEN, _USUAL_NAME):
        return path.parent.parent
    return Path(os.path.normpath(path.parent / told))


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
