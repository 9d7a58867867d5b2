"""The line in which requests wait for the models: so long, in order, and only while somebody waits for the answer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from ..core.errors import UnrenderError
from .jobs import Job

LONGEST = 16
"""Requests that wait, beside the one that is worked on."""

RETRY_SECONDS = 10

_SECONDS_BETWEEN_LOOKS = 0.1


class LineIsFull(UnrenderError):
    """Too many wait already."""

    def __init__(self) -> None:
        super().__init__("Too many requests wait already", "ask again later")


class Line:
    """One is worked on at a time. longest: how many may wait."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._places: deque[Job] = deque()
        self._moved = threading.Condition()

    def check(self) -> None:
        """Raises LineIsFull where there would be no place now."""
        if len(self._places) > self._longest:
            raise LineIsFull

    @contextmanager
    def turn(self, job: Job) -> Iterator[None]:
        """Waits until all that came before are done. Raises LineIsFull, and Cancelled where the job is stopped."""
        with self._moved:
            self.check()
            self._places.append(job)
        try:
            self._wait(job)
            yield
        finally:
            with self._moved:
                self._places.remove(job)
                self._moved.notify_all()

    def _wait(self, job: Job) -> None:
        said = job.text
        with self._moved:
            while self._places[0] is not job:
                job.text = "Waiting for what was asked before"
                self._moved.wait(_SECONDS_BETWEEN_LOOKS)
                job.check()
        job.text = said
        job.check()
