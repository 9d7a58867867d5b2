"""How many pixels the pictures of requests take, of one and of all together, while they wait for the models."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..core.images.budget import PixelBudget, Ticket
from .jobs import Job
from .line import LONGEST, LineIsFull

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_OF_ALL: Final = 128_000_000
"""Half a gigabyte. Who asks with more waits until others have their answers; the oldest request never waits."""

MOST_OF_ONE: Final = 256_000_000
"""Beyond which a request is refused."""


class Opening(Protocol):
    """Opens a picture, whose pixels are then held until the request has its answer."""

    def __call__(self, source: Any, name: str | None = None) -> Image: ...


class Pixels:
    """Room for the pictures of what is asked of a host, by its pages and over HTTP. requests: that may hold pictures or
    wait for room at a time; each keeps a thread, of which answers to others are in want."""

    def __init__(self, of_all: int = MOST_OF_ALL, of_one: int = MOST_OF_ONE, requests: int = LONGEST + 1) -> None:
        self._budget = PixelBudget(of_all)
        self._of_one = of_one
        self._places = threading.BoundedSemaphore(requests)

    @contextmanager
    def held(self, job: Job) -> Iterator[Opening]:
        """Raises LineIsFull, ImageError where a request's pictures are too many pixels, Cancelled where the job is
        stopped."""
        if not self._places.acquire(blocking=False):
            raise LineIsFull
        ticket = self._budget.ticket(self._of_one)
        ticket.check = job.check
        try:
            yield partial(_open, ticket)
        finally:
            ticket.release()
            self._places.release()


def _open(ticket: Ticket, source: Any, name: str | None = None) -> Image:
    from ..core.images import open_image

    with ticket.asked():
        return open_image(source, name)
