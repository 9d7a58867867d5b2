"""How long a connection may take to say what it wants: uvicorn waits for ever."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS_FOR_HEADERS: Final = 10.0


class Patience(H11Protocol):
    """Closes a connection whose request's headers are not there in time, also that of a later request."""

    seconds = SECONDS_FOR_HEADERS

    def __init__(self, *values: Any, **options: Any) -> None:
        super().__init__(*values, **options)
        self._closing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _look(self) -> None:
        """Between two requests, where nothing has come of the next, uvicorn itself counts the seconds."""
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif self._closing is None:
            self._closing = self.loop.call_later(self.seconds, self._close)

    def _stop(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def _close(self) -> None:
        self._closing = None
        if self.conn.their_state is h11.IDLE:
            self.transport.close()
