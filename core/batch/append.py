"""Files that only grow, and files that change all at once: what is written stays whole whenever a run ends."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..cures import Take
from ..errors import BatchError
from ..files import NotAFileError, open_own, replace_whole

DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT)
CONCERNS_ALL = (*DISK_IS_FULL, errno.EROFS, errno.EIO)
"""What keeps one file from being written and would keep the next one too."""

HIDDEN = ".unrender"
"""The folder that a run's notes are kept in, beside what it writes."""


class AppendFile:
    """A file that is appended to and brought to the disk on request. Whatever cannot be appended whole leaves it as it
    was. Raises BatchError, also where a link, a pipe or a device has its name."""

    def __init__(self, path: Path, anew: bool) -> None:
        self.path = path
        with writing(path):
            self._file = os.fdopen(open_own(path, make=anew), "r+b", 0)
            if anew:
                self._file.truncate(0)
            self.size = self._file.seek(0, os.SEEK_END)

    def append(self, data: bytes) -> None:
        with writing(self.path):
            try:
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(self._file.fileno(), rest) :]
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
    """The file holds `data`, or what it held before, whenever the process ends; power may fail only after `sync`. A
    link of its name is replaced, not followed.

    part: the shard at work. Raises OSError."""
    # the same name for each file of a run: what a kill leaves is gone when the next run repeats the last step
    replace_whole(path, data, path.with_name(f"{HIDDEN}-{part}{path.suffix[:8]}.part"))


def sync(paths: Iterable[Path]) -> None:
    """Brings files, and their names, to the disk. Raises OSError."""
    folders: set[Path] = set()
    for path in paths:
        _sync(path)
        folders.add(path.parent)
    for folder in folders:
        _sync(folder.resolve())


def _sync(path: Path) -> None:
    if os.name == "nt":  # which takes only files opened for writing, and no folders
        return
    if not stat.S_ISREG(mode := path.lstat().st_mode) and not stat.S_ISDIR(mode):
        return  # a link or a pipe that was renamed with its picture: nothing of it but the name, which is its folder's
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
    except NotAFileError as error:
        raise BatchError(f"{error.filename} is left alone, because {error.strerror}", "move it away") from error
    except OSError as error:
        full = error.errno in DISK_IS_FULL
        reason = "the disk is full" if full else error.strerror or type(error).__name__
        problem = f"{path} cannot be written ({reason}), all earlier results are kept"
        raise BatchError(problem, Take("resume", first="make room" if full else "see to it")) from error
