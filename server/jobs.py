"""Work that reports while it goes on: in a thread of its own, so that a page can show how far it is, and stop it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, TypeVar

from ..core.errors import Cancelled
from ..core.printable import visible
from ..core.progress import Progress, how_far

T = TypeVar("T")

ASKER_LEFT: ContextVar[threading.Event | None] = ContextVar("ASKER_LEFT", default=None)
"""Set where whoever asked for the work at hand has gone; None where nobody looks."""

_SECONDS_BETWEEN_REPORTS = 0.2


class Job(Progress):
    """The progress of one piece of work, as a line of text.

    interrupted: whether the host was told to stop; asked between steps of the work. outdated: whether what it works on
    has been replaced meanwhile, where its result will be shown. agreed: the names of what may be downloaded for it;
    None where nobody is asked.
    """

    agreed: Collection[str] | None = None

    def __init__(self, interrupted: Callable[[], bool] = lambda: False) -> None:
        self.text = ""
        self.outdated = False
        self._interrupted = interrupted
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Ends the work at its next step; may be called from any thread."""
        self._stopped.set()

    @property
    def line(self) -> str:
        """What is told of it: once it was told to stop, that it will."""
        return "Stopping" if self._stopped.is_set() else self.text

    def check(self) -> None:
        if self._stopped.is_set() or self._interrupted():
            raise Cancelled("Stopped.")

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "") -> Iterator[_Line]:
        self.check()
        before = self.text
        yield _Line(self, label, total, unit)
        self.text = before


class _Line:
    def __init__(self, job: Job, label: str, total: int | None, unit: str) -> None:
        self._job = job
        self._label = visible(label)
        self._total = total
        self._unit = unit
        self._done = 0
        self._say()

    def advance(self, amount: int = 1) -> None:
        self._job.check()
        self._done += amount
        self._say()

    def _say(self) -> None:
        self._job.text = self._label + how_far(self._done, self._total, self._unit)


class _Outcome(Generic[T]):
    def __init__(self) -> None:
        self.values: list[T] = []
        self.error: Exception | None = None


def reports(job: Job, work: Callable[[Job], T]) -> Generator[str, None, T]:
    """Runs the work and yields the job's line whenever it has changed; returns what the work returns, raises what it
    raises. A reader that goes away stops the work."""
    outcome: _Outcome[T] = _Outcome()

    def run() -> None:
        try:
            outcome.values.append(work(job))
        except Exception as error:  # noqa: BLE001  raised again where somebody hears of it
            outcome.error = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    said = ""
    try:
        while thread.is_alive():
            if (line := job.line) != said:
                said = line
                yield said
            thread.join(_SECONDS_BETWEEN_REPORTS)
    finally:
        job.stop()
    if outcome.error is not None:
        raise outcome.error
    return outcome.values[0]


class Jobs:
    """The jobs that run now, by a key a page can hold on to."""

    def __init__(self) -> None:
        self._running: dict[str, Job] = {}

    @contextmanager
    def running(self, job: Job) -> Iterator[str]:
        key = f"{time.monotonic_ns()}"
        self._running[key] = job
        try:
            yield key
        finally:
            self._running.pop(key, None)

    @property
    def busy(self) -> bool:
        return bool(self._running)

    @property
    def lines(self) -> list[str]:
        """What the running ones report."""
        return [job.line for job in list(self._running.values()) if job.line]

    def is_running(self, key: str) -> bool:
        return key in self._running

    def stop(self, key: str) -> None:
        with contextlib.suppress(KeyError):
            self._running[key].stop()

    def outdate(self, key: str) -> bool:
        """Notes that what a job works on has been replaced. Returns whether there is such a job."""
        job = self._running.get(key)
        if job is not None:
            job.outdated = True
        return job is not None
