"""How the engine reports progress and hears that it should stop: one object, passed down, adapted by each door."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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


class Steps:
    """A task whose steps are known at most: what has not been taken when it ends is made up for, so that it ends at
    its total."""

    def __init__(self, task: Task, total: int) -> None:
        self._task, self._total, self._done = task, total, 0

    def advance(self, amount: int = 1) -> None:
        amount = min(amount, self._total - self._done)
        self._done += amount
        self._task.advance(amount)

    def reach(self, done: int) -> None:
        """Goes on to as many steps; never back."""
        if done > self._done:
            self.advance(done - self._done)

    def part(self, steps: int, progress: Progress) -> Progress:
        """For work of at most so many of the steps, which opens a task of its own."""
        return _Part(self, self._done + steps, progress)


@contextmanager
def steps(progress: Progress, label: str, total: int, unit: str = "") -> Iterator[Steps]:
    with progress.task(label, total, unit) as task:
        counted = Steps(task, total)
        yield counted
        counted.reach(total)


class _Part(Progress):
    def __init__(self, whole: Steps, end: int, progress: Progress) -> None:
        self._whole, self._end, self._progress = whole, end, progress

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "") -> Iterator[Task]:
        yield self._whole
        self._whole.reach(self._end)

    def check(self) -> None:
        self._progress.check()


class _SilentTask:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def advance(self, amount: int = 1) -> None:
        self._progress.check()


SILENT = Progress()

Check = Callable[[], None]
"""A progress's `check`, for work that shows no bar: called between its parts, it raises `Cancelled` to end it."""
