"""Ctrl-C that arrives while a library is being imported often comes out as that library's failure to load; and a
library that computes does not hear of it."""

from __future__ import annotations

import os
import sys
import threading
from typing import NoReturn

SECONDS_TO_END = 4.0


def is_behind(error: BaseException) -> bool:
    """Whether `error` came up while a KeyboardInterrupt was on its way."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        if isinstance(current, KeyboardInterrupt):
            return True
        seen.add(id(current))
        current = current.__cause__ or current.__context__
    return False


def end_soon(status: int, seconds: float = SECONDS_TO_END) -> None:
    """Ends this process by then, whatever its threads still compute. For servers, which write nothing that could be
    left half written."""

    timer = threading.Timer(seconds, end, (status,))
    timer.daemon = True
    timer.start()


def end(status: int) -> NoReturn:
    """Ends this process without waiting for its threads, nor for libraries to tidy up."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
