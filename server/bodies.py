"""How much of requests' bodies is taken in, one by one and all together, and how long is waited for them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from .refusals import Message, Receive, Refused, later

MIB: Final = 2**20
MOST_PARTS: Final = 100_000
"""Of JSON: a list or an object of a few bytes takes a hundred in memory, and nobody else is heard while such a body is
taken apart."""

_PARTED_BY = (b",", b"[", b"{")
_RETRY_SECONDS = 5


class Bodies:
    """Room for the bodies of requests that are read, or worked on while they lie in memory.

    together: bytes of all. pause: seconds between two pieces of a body at most. longest: seconds for all of one.
    """

    def __init__(self, together: int = 192 * MIB, pause: float = 10, longest: float = 120) -> None:
        self.together, self.pause, self.longest = together, pause, longest
        self._held = 0
        self._lock = threading.Lock()

    @contextmanager
    def reading(self, headers: Mapping[str, str], receive: Receive, most: int) -> Iterator[Receive]:
        """A `receive` for one request, whose room is free again after the `with`. most: bytes.

        Raises Refused, and what is given does: 413, 503, or 408."""
        _check_length(headers, most)
        if self._held + _length(headers) > self.together:
            raise self._full()
        held = parts = 0
        uploaded = headers.get("content-type", "").strip().lower().startswith("multipart/")
        end = time.monotonic() + self.longest
        whole = False

        async def limited() -> Message:
            nonlocal held, parts, whole
            if whole:
                return await receive()  # until the client leaves
            message = await self._next(receive, end)
            body = message.get("body", b"")
            held += len(body)
            self._take(len(body))
            if held > most:
                raise _too_long(most)
            parts += 0 if uploaded else sum(map(body.count, _PARTED_BY))
            if parts > MOST_PARTS:
                raise Refused(413, f"The request has more than {MOST_PARTS:,} parts; send fewer words at a time.")
            whole = not message.get("more_body", False)
            return message

        try:
            yield limited
        finally:
            self._take(-held, checked=False)

    async def _next(self, receive: Receive, end: float) -> Message:
        seconds = min(self.pause, end - time.monotonic())
        try:
            return await asyncio.wait_for(receive(), max(seconds, 0.001))
        except (asyncio.TimeoutError, TimeoutError):
            raise Refused(408, "The request's body did not come in time; send it again.") from None

    def _take(self, size: int, checked: bool = True) -> None:
        with self._lock:
            self._held += size
            if checked and self._held > self.together:
                raise self._full()

    def _full(self) -> Refused:
        return later("The requests at hand fill the memory set aside for them; ask again later.", _RETRY_SECONDS)


def has_body(headers: Mapping[str, str]) -> bool:
    return "transfer-encoding" in headers or headers.get("content-length", "0").strip() != "0"


def _length(headers: Mapping[str, str]) -> int:
    text = headers.get("content-length", "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _check_length(headers: Mapping[str, str], most: int) -> None:
    if _length(headers) > most:
        raise _too_long(most)


def _too_long(most: int) -> Refused:
    limit = f"{most // MIB} MiB" if most >= MIB else f"{most // 1024} KiB"
    return Refused(413, f"The request has more than {limit}; send smaller or fewer pictures.")
