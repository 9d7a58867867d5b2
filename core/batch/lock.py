"""One run at a time in a folder, or one for each shard."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import BatchError
from .append import HIDDEN, writing

_WHOLE = "lock"
_LOOK_SECONDS = 2.0  # another shard may be looking at the same instant


@contextlib.contextmanager
def folder_lock(folder: Path, shard: str = "", patience: float = 0.0) -> Iterator[None]:
    """Holds the folder, or one shard of it, such as "1of4". It is let go of when the process ends, however it ends.

    patience: seconds to wait until it is free.
    Raises BatchError where another run holds what this one would touch, or the folder may not be written.
    """
    notes = folder / HIDDEN
    with writing(folder):
        notes.mkdir(parents=True, exist_ok=True)
    with _held(notes / f"{_WHOLE}-{shard}" if shard else notes / _WHOLE, folder, patience):
        for other in [notes / _WHOLE] if shard else sorted(notes.glob(f"{_WHOLE}-*")):
            with _held(other, folder, _LOOK_SECONDS):
                pass  # nobody is there
        yield


@contextlib.contextmanager
def _held(path: Path, folder: Path, patience: float) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(str(path))
    with writing(path):
        try:
            lock.acquire(timeout=patience)
        except Timeout as error:
            raise BatchError(f"Another run is at work in {folder}", "wait until it is done") from error
    try:
        yield
    finally:
        lock.release()
