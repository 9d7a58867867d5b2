"""What a comparison has found so far, so that the same command goes on after it was ended, however it was.

A line of JSON for each thing found, under a digest of all that decides it: whatever is decided by something else is
looked for anew, so that a file may hold many comparisons. A line that cannot be understood is passed over, and what it
told is found again.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from ..batch.append import HIDDEN, AppendFile, writing
from ..batch.journal import refuse_anothers, strange
from ..batch.lock import folder_lock
from ..files import read_own

T = TypeVar("T")

NAME = "verify.jsonl"
_HEAD = b'{"verify": 1}\n'


class Notes:
    """Kept for as long as the process runs; `noted_in` keeps them for longer."""

    def __init__(self, deciding: str = "", rows: dict[str, Any] | None = None, file: _File | None = None) -> None:
        self._deciding, self._rows, self._file = deciding, {} if rows is None else rows, file

    def under(self, *deciding: object) -> Notes:
        """The same notes, for what is decided by these too. What they are is told by `str`."""
        return Notes(self._key(deciding), self._rows, self._file)

    def known(self, take: Callable[[Any], T], *deciding: object) -> T | None:
        """What was kept under these, None where nothing was. take: reads it, and raises ValueError, TypeError or
        KeyError for what it did not write itself."""
        key = self._key(deciding)
        try:
            return take(self._rows[key])
        except (KeyError, TypeError, ValueError):
            return None

    def keep(self, values: Any, *deciding: object) -> None:
        """values: plain ones, as JSON has them. Raises BatchError where they cannot be written."""
        key = self._key(deciding)
        self._rows[key] = values
        if self._file is not None:
            self._file.append(json.dumps({"of": key, "found": values}).encode("ascii") + b"\n")

    def _key(self, deciding: tuple[object, ...]) -> str:
        return sha256(json.dumps([self._deciding, *map(str, deciding)]).encode()).hexdigest()


@contextlib.contextmanager
def noted_in(folder: Path, version: str) -> Iterator[Notes]:
    """Notes kept in a folder, which is held meanwhile. version: of the program that takes them.

    Raises BatchError where another run is at work there, or what has the notes' name is none of this program's."""
    with folder_lock(folder):
        path = folder / HIDDEN / NAME
        rows, size = _read(path)
        file = _File(path, size)
        try:
            yield Notes(version, rows, file)
        finally:
            file.close()


class _File:
    """Goes on after its first `size` bytes; made when there is something to note. Raises BatchError."""

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size
        self._file: AppendFile | None = None

    def append(self, line: bytes) -> None:
        if self._file is None:
            self._file = AppendFile(self._path, anew=not self._size)
            self._file.truncate(self._size)
            line = line if self._size else _HEAD + line
        self._file.append(line)
        self._file.sync()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _read(path: Path) -> tuple[dict[str, Any], int]:
    """What is noted, and where the last whole line ends; 0 where nothing is."""
    if not path.exists() and not path.is_symlink():
        return {}, 0
    refuse_anothers(path)
    with writing(path), read_own(path) as file:
        text = file.read()
    if not text.startswith(_HEAD):
        if _HEAD.startswith(text):  # what a kill left of the first line
            return {}, 0
        raise strange(path, str(path))
    size = text.rindex(b"\n") + 1
    return dict(filter(None, map(_row, text[len(_HEAD) : size].splitlines()))), size


def _row(line: bytes) -> tuple[str, Any] | None:
    try:
        values = json.loads(line)
        return str(values["of"]), values["found"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
