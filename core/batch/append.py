"""Files that only grow, and files that change all at once: what is written stays whole whenever a run ends."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..cures import Take
from ..errors import BatchError

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT)
CONCERNS_ALL = (*DISK_IS_FULL, errno.EROFS, errno.EIO)
"""What keeps one file from being written and would keep the next one too."""

HIDDEN = ".unrender"
"""The folder that a run's notes are kept in, beside what it writes."""


class AppendFile:
    """A file that is appended to and brought to the disk on request. Whatever cannot be appended whole leaves it as it
    was. Raises BatchError."""

    def __init__(self, path: Path, anew: bool) -> None:
        self.path = path
        with writing(path):
            self._file = io.FileIO(path, "w" if anew else "r+")
            self.size = self._file.seek(0, os.SEEK_END)

    def append(self, data: bytes) -> None:
        with writing(self.path):
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[self._file.write(rest) or 0 :]
            except BaseException:
                self.truncate(self.size)
                raise
        self.size += len(data)

    def truncate(self, size: int) -> None:
        """Drops all that was appended past `size` bytes."""
        with writing(self.path):
            self._file.truncate(size)
            self._file.seek(size)
        self.size = size

    def sync(self) -> None:
        with writing(self.path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def replace_file(path: Path, data: bytes, part: str = "") -> None:
    """The file holds `data`, or what it held before, whenever the process ends; power may fail only after `sync`.
    part: the shard at work. Raises OSError."""
    # the same name for each file of a run: what a kill leaves is overwritten when the next run repeats the last step
    unfinished = path.with_name(f"{HIDDEN}-{part}{path.suffix[:8]}.part")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise


def sync(paths: Iterable[Path]) -> None:
    """Brings files, and their names, to the disk. Raises OSError."""
    folders: set[Path] = set()
    for path in paths:
        _sync(path)
        folders.add(path.parent)
    for folder in folders:
        _sync(folder)


def _sync(path: Path) -> None:
    if os.name == "nt":  # which takes only files opened for writing, and no folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what may happen to a file while it is written into a sentence. Raises BatchError."""
    try:
        yield
    except OSError as error:
        full = error.errno in DISK_IS_FULL
        reason = "the disk is full" if full else error.strerror or type(error).__name__
        problem = f"{path} cannot be written ({reason}), all earlier results are kept"
        raise BatchError(problem, Take("resume", first="make room" if full else "see to it")) from error
