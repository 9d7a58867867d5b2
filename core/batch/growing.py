"""A table that grows, which its users may change between two runs: how it is known again, and kept where it was."""

from __future__ import annotations

import filecmp
import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from ..files import read_own
from .append import AppendFile, sync, writing

_AT_ONCE = 2**20


class GrowingTable:
    """A file of rows, begun anew, or gone on with after its first `size` bytes. Raises BatchError."""

    def __init__(self, path: Path, size: int | None = None) -> None:
        self._file = AppendFile(path, anew=size is None)
        self._digest = hashlib.sha256()
        self._end: Mapping[str, Any] | None = None
        if size is not None:
            with writing(path), read_own(path) as file:
                self._digest = _digest_of(file, size)
            self._file.truncate(size)

    @property
    def path(self) -> Path:
        return self._file.path

    def append(self, data: bytes) -> None:
        self._file.append(data)
        self._digest.update(data)

    def end(self, data: bytes) -> None:
        """What comes after the last row, and is no part of the state."""
        self._end = self._state()
        self._file.append(data)

    def state(self) -> Mapping[str, Any]:
        """What is on the disk: the size in bytes, and their SHA-256."""
        self._file.sync()
        return self._end or self._state()

    def become(self, path: Path) -> None:
        """Takes the place of what has this name, at once."""
        self._file.sync()
        self._file.close()
        with writing(path):
            self._file.path.replace(path)
            sync([path])
        self._file = AppendFile(path, anew=False)

    def close(self) -> None:
        self._file.close()

    def _state(self) -> Mapping[str, Any]:
        return {"size": self._file.size, "digest": self._digest.hexdigest()}


def state_of(path: Path) -> Mapping[str, Any]:
    """As `GrowingTable.state` has it. Raises BatchError."""
    with writing(path), read_own(path) as file:
        size = path.stat().st_size
        return {"size": size, "digest": _digest_of(file, size).hexdigest()}


def begins_with(path: Path, size: int, digest: str, rest: Iterable[bytes]) -> bool:
    """Whether a file is so many bytes with this SHA-256, and then of the rest as much as a run came to write. Raises
    BatchError."""
    with writing(path), read_own(path) as file:
        if _digest_of(file, size).hexdigest() != digest:
            return False
        for part in rest:
            found = file.read(len(part))
            if found != part:
                return part.startswith(found) and not file.read(1)
        return not file.read(1)


def kept_beside(path: Path) -> Path:
    """Gives a file a second name, which is returned: NAME-edited.csv, or a numbered one. Raises BatchError."""
    for number in count(1):
        kept = path.with_stem(f"{path.stem}-edited{'' if number == 1 else f'-{number}'}")
        with writing(kept):
            if kept.exists() and filecmp.cmp(path, kept, shallow=False):
                return kept  # what was ended just here
            if os.path.lexists(kept):
                continue
            try:
                os.link(path, kept)
            except OSError:  # a file system without second names
                shutil.copyfile(path, kept)
            return kept
    raise AssertionError("there is always another number")


def _digest_of(file: Any, size: int) -> Any:
    """Of the first bytes, or of all where there are fewer."""
    digest = hashlib.sha256()
    while size > 0 and (part := file.read(min(size, _AT_ONCE))):
        digest.update(part)
        size -= len(part)
    return digest
