"""Pixels in flight: how many may be held, decoded or being decoded, at the same time.

What is bounded is pixels, not pictures: sixteen photographs of 24 megapixels are 1.5 GB, sixteen thumbnails nothing.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar

MOST_PIXELS = 64_000_000
"""As many as two or three photographs have; beside them eight bytes a pixel while they are decoded, half a gigabyte."""


class PixelBudget:
    """Hands out pixels to those who ask, in the order of their tickets: who waits for a picture waits for none that
    comes after it. One that is larger than all of it is let in alone."""

    def __init__(self, most: int = MOST_PIXELS) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._asking: dict[Ticket, None] = {}
        self._held: dict[Ticket, int] = {}
        self._closed = False

    def ticket(self) -> Ticket:
        """To be taken from any thread, once, and released, taken or not."""
        ticket = Ticket(self)
        with self._changed:
            self._asking[ticket] = None
        return ticket

    @contextlib.contextmanager
    def holding(self, pixels: int) -> Iterator[None]:
        """Waits until so many are free and holds them."""
        ticket = self.ticket()
        try:
            ticket.take(pixels)
            yield
        finally:
            ticket.release()

    def close(self) -> None:
        """Lets all in who wait: what they decode is thrown away."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self, ticket: Ticket, pixels: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room(ticket, pixels))
            self._asking.pop(ticket, None)
            self._held[ticket] = pixels
            self._changed.notify_all()

    def _has_room(self, ticket: Ticket, pixels: int) -> bool:
        if next(iter(self._asking), ticket) is not ticket:
            return False
        held = sum(self._held.values())
        return held == 0 or held + pixels <= self._most

    def _release(self, ticket: Ticket) -> None:
        with self._changed:
            self._asking.pop(ticket, None)
            self._held.pop(ticket, None)
            self._changed.notify_all()


class Ticket:
    """One picture's place in the order of a budget."""

    def __init__(self, budget: PixelBudget) -> None:
        self._budget = budget

    def take(self, pixels: int) -> None:
        """Waits until it is this picture's turn and there is room for it."""
        self._budget._take(self, pixels)

    def release(self) -> None:
        """The picture is there no more, or never was."""
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
