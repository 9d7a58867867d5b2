"""One run at a time in a folder, or one for each shard."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ..errors import BatchError, UnrenderError
from ..files import refuse_other
from .append import HIDDEN, writing

_WHOLE = "lock"
_LOOK_SECONDS = 2.0  # another shard may be looking at the same instant


@contextlib.contextmanager
def folder_lock(folder: Path, shard: str = "", patience: float = 0.0) -> Iterator[None]:
    """Holds the folder, or one shard of it, such as "1of4". It is let go of when the process ends, however it ends.

    patience: seconds to wait until it is free. What was made for it alone goes again when nothing comes of the run.
    Raises BatchError where another run holds what this one would touch, or the folder may not be written.
    """
    notes = folder / HIDDEN
    with _made(notes), _held(notes / f"{_WHOLE}-{shard}" if shard else notes / _WHOLE, folder, patience):
        for other in [notes / _WHOLE] if shard else sorted(notes.glob(f"{_WHOLE}-*")):
            with _held(other, folder, _LOOK_SECONDS):
                pass  # nobody is there
        yield


@contextlib.contextmanager
def _made(notes: Path) -> Iterator[None]:
    """The folder of notes, a folder of its own and no link to another."""
    made = [path for path in (notes, *notes.parents) if not os.path.lexists(path)]
    if not made and not stat.S_ISDIR(notes.lstat().st_mode):
        raise BatchError(f"{notes} is left alone, because it is no folder of its own", "move it away")
    with writing(notes.parent):
        notes.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except UnrenderError:
        with contextlib.suppress(OSError):  # what holds something stays
            for path in made:
                path.rmdir()
        raise


@contextlib.contextmanager
def _held(path: Path, folder: Path, patience: float) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(str(path))
    fresh = not os.path.lexists(path)
    with writing(path):
        refuse_other(path)
        try:
            lock.acquire(timeout=patience)
        except Timeout as error:
            raise BatchError(f"Another run is at work in {folder}", "wait until it is done") from error
    try:
        yield
    except UnrenderError:
        if fresh:
            with contextlib.suppress(OSError):  # Windows keeps a file that is open
                path.unlink()
        raise
    finally:
        lock.release()
