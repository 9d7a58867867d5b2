"""Locks that a host may hold for long, as while it draws: waited for in its order, and left on request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

_SECONDS_BETWEEN_LOOKS = 0.1


class Lock(Protocol):
    """Any that another thread may release: threading's plain one, and the webuis' own, which knows no time limit."""

    def acquire(self, blocking: bool = ..., /) -> Any: ...

    def release(self) -> None: ...


@contextmanager
def held(lock: Lock, check: Callable[[], None]) -> Iterator[None]:
    """The lock for the time of the `with`. check: asked again and again while it is waited for; what it raises ends the
    waiting."""
    if not lock.acquire(False):
        _wait(lock, check)
    try:
        yield
    finally:
        lock.release()


def _wait(lock: Lock, check: Callable[[], None]) -> None:
    waiting = _Waiting(lock)
    try:
        while not waiting.got.wait(_SECONDS_BETWEEN_LOOKS):
            check()
    except BaseException:
        waiting.leave()
        raise


class _Waiting:
    """A place in the lock's own order, which trying again and again would not be."""

    def __init__(self, lock: Lock) -> None:
        self.got = threading.Event()
        self._lock = lock
        self._turn = threading.Lock()
        self._left = False
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        self._lock.acquire()
        with self._turn:
            if self._left:
                self._lock.release()
            else:
                self.got.set()

    def leave(self) -> None:
        with self._turn:
            self._left = True
            if self.got.is_set():
                self._lock.release()
