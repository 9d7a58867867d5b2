"""What was learned and is not used any more goes, so that a folder does not grow with every LoRA that is tried."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 3_000_000_000
MOST_DAYS = 90
_LEARNED_AGAIN = ("ridge-*.safetensors", "correction-*.safetensors", "crossing-*.safetensors", "bank-*.safetensors")
"""What a person's own pictures taught is not among them, nor what was downloaded."""
_SECONDS_A_DAY = 86_400


def used(path: Path) -> None:
    """Notes that a file is in use."""
    with suppress(OSError):
        os.utime(path)


def prune(folder: Path, most_bytes: int = MOST_BYTES, most_days: float = MOST_DAYS) -> None:
    """Removes from a folder what can be learned again and was not used for so many days, and of the rest those that
    were used longest ago until it takes no more than so many bytes. The one that was used last stays."""
    oldest = time.time() - most_days * _SECONDS_A_DAY
    found = []
    for pattern in _LEARNED_AGAIN:
        for path in folder.glob(pattern):
            with suppress(OSError):
                stat = path.stat()
                found.append((stat.st_mtime, stat.st_size, path))
    taken = 0
    for number, (last_used, size, path) in enumerate(sorted(found, reverse=True)):
        taken += size
        if number and (last_used < oldest or taken > most_bytes):
            with suppress(OSError):
                path.unlink()
