"""How the engine reports progress and hears that it should stop: one object, passed down, adapted by each door."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

T = TypeVar("T")


BYTES = "B"
"""The unit of a task that counts bytes; all others are plural nouns, or nothing."""


def how_far(done: int, total: int | None, unit: str = "") -> str:
    """Behind a task's label, for those who show a line of text: ": 3 of 20 rounds", ": 12 of 80 MB"."""
    if unit == BYTES:
        return f": {done / 1e6:.0f}" + (f" of {total / 1e6:.0f} MB" if total else " MB")
    return f": {done} of {total} {unit}".rstrip() if total else ""


class Task(Protocol):
    """One bar of a progress display."""

    def advance(self, amount: int = 1) -> None:
        """Moves the bar on. Raises Cancelled when the user asked to stop."""
        ...


class Progress:
    """Receives progress and answers whether to go on. This base shows nothing and never cancels.

    Doors subclass it: the command line draws bars, ComfyUI and the webui forward to their own.
    Override `task` to draw and `check` to raise `Cancelled`.
    """

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "") -> Iterator[Task]:
        """Opens a bar; `unit` is "B" for bytes, otherwise a plural noun or nothing. `total` None: unknown."""
        yield _SilentTask(self)

    def check(self) -> None:
        """Raises Cancelled when the user asked to stop; called between steps of work."""

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Iterates over `items`, one step of a bar each."""
        with self.task(label, total) as task:
            for item in items:
                yield item
                task.advance()


class _SilentTask:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def advance(self, amount: int = 1) -> None:
        self._progress.check()


SILENT = Progress()
