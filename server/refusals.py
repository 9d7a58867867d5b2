"""Refusals over HTTP, said before anything is read or done: a status and a sentence."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


_LONGEST = 480


class Refused(Exception):
    """status: HTTP's. sentence: what, where, and what to do about it."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, sentence, dict(headers or {})

    @property
    def content(self) -> dict[str, str]:
        # names and texts that a sentence repeats may be long, and hold halves of characters
        said = self.sentence.encode(errors="backslashreplace").decode()
        return {"detail": said if len(said) <= _LONGEST else f"{said[: _LONGEST - 150]} … {said[-140:]}"}

    async def answer(self, send: Send) -> None:
        """As the answer of an ASGI application."""
        body = json.dumps(self.content).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), **self.headers}
        sent = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": sent})
        await send({"type": "http.response.body", "body": body})


def later(sentence: str, seconds: int) -> Refused:
    """For what is only too much at once. seconds: when to ask again."""
    return Refused(503, sentence, {"Retry-After": str(seconds)})
