"""Pixels in flight: how many may be held, decoded or being decoded, at the same time.

What is bounded is pixels, not pictures: sixteen photographs of 24 megapixels are 1.5 GB, sixteen thumbnails nothing.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar

from ..errors import ImageError

MOST_PIXELS = 64_000_000
"""As many as two or three photographs have; beside them eight bytes a pixel while they are decoded, half a gigabyte."""

_SECONDS_BETWEEN_LOOKS = 0.2


class PixelBudget:
    """Pixels for those who hold a ticket. Who has the oldest never waits, so that nobody waits for ever: neither for
    pictures that come later, nor for more than there is."""

    def __init__(self, most: int = MOST_PIXELS) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._held: dict[Ticket, int] = {}  # the oldest first
        self._closed = False

    def ticket(self, most: int | None = None) -> Ticket:
        """To be used in any thread, and released, whatever it took. most: beyond which it is refused."""
        ticket = Ticket(self, most)
        with self._changed:
            self._held[ticket] = 0
        return ticket

    def close(self) -> None:
        """Lets all in who wait: what they decode is thrown away."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self, ticket: Ticket, pixels: int, check: Callable[[], None]) -> None:
        with self._changed:
            while not self._has_room(ticket, pixels):
                self._changed.wait(_SECONDS_BETWEEN_LOOKS)
                check()
            self._held[ticket] = self._held.get(ticket, 0) + pixels

    def _has_room(self, ticket: Ticket, pixels: int) -> bool:
        oldest = next(iter(self._held), ticket)
        return self._closed or oldest is ticket or sum(self._held.values()) + pixels <= self._most

    def _release(self, ticket: Ticket) -> None:
        with self._changed:
            self._held.pop(ticket, None)
            self._changed.notify_all()


class Ticket:
    """What one picture, or one request for several, holds of a budget.

    check: is called while it waits, and may raise."""

    def __init__(self, budget: PixelBudget, most: int | None) -> None:
        self._budget = budget
        self._left = most
        self.check: Callable[[], None] = lambda: None

    def take(self, pixels: int) -> None:
        """Waits until there is room for so many more. Raises ImageError where they are too many for one."""
        if self._left is not None:
            self._left -= pixels
            if self._left < 0:
                raise ImageError("The pictures have too many pixels together", "give fewer or smaller ones")
        self._budget._take(self, pixels, self.check)

    def release(self) -> None:
        """What it held is there no more."""
        self._budget._release(self)

    @contextlib.contextmanager
    def asked(self) -> Iterator[None]:
        """Whatever picture is opened meanwhile in this thread asks for its pixels before it is decoded."""
        token = _ASKED.set(self)
        try:
            yield
        finally:
            _ASKED.reset(token)


_ASKED: ContextVar[Ticket | None] = ContextVar("unrender pixels", default=None)


def ask_for(pixels: int) -> None:
    """Before so many are decoded: waits for room where this thread was given a ticket."""
    ticket = _ASKED.get()
    if ticket is not None:
        ticket.take(pixels)
