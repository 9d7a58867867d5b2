"""What stands before a whole server, its pages, queues and websockets: who may ask, and with how much."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .bodies import MIB, Bodies, has_body
from .origins import Names, is_from_elsewhere
from .refusals import Message, Receive, Refused, Send

Scope = Mapping[str, Any]
App = Callable[[Any, Receive, Send], Awaitable[None]]
Rule = Callable[[Scope, Mapping[str, str]], None]
"""Raises Refused for a request, by its scope and headers, that may not go on."""

_SECONDS_TO_READ_AWAY = 20.0
_SECONDS_FOR_MORE = 1.0
_MOST_READ_AWAY = 128 * MIB
_CROSS_ORIGIN = b"access-control-"
_FRAMED_BY_NOBODY_ELSE = "frame-ancestors 'self'"
_WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Gate:
    """An ASGI application around another one. It answers for the names it has, to its own pages and to programs: DNS
    rebinding and other sites' pages get no further.

    rules: of the server within. most: bytes of a request's body, by its scope; None where the server sees to that.
    sources: what a page of the server's may load, as a content security policy says it.
    """

    def __init__(
        self,
        app: App,
        names: Names,
        rules: tuple[Rule, ...] = (),
        bodies: Bodies | None = None,
        most: Callable[[Scope], int] | None = None,
        sources: str = "",
    ) -> None:
        self._app, self._names, self._rules = app, names, rules
        self._bodies, self._most = bodies or Bodies(), most
        self._policy = "; ".join(filter(None, [sources, _FRAMED_BY_NOBODY_ELSE])).encode()

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = headers_of(scope)
        try:
            self._check(scope, headers)
        except Refused as refused:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                exchange = _Exchange(headers, receive, send, self._policy)
                await refused.answer(exchange.send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._exchange(scope, headers, receive, send)

    def _check(self, scope: Scope, headers: Mapping[str, str]) -> None:
        host = headers.get("host", "")
        if not self._names.has(host):
            raise Refused(
                403,
                f"This server has not the name {host[:100]!r}; ask for it by its address, or start it with "
                "--allowed-host and that name.",
            )
        if _is_foreign(self._names, scope, headers):
            raise Refused(403, "Pages of other sites may not use this server; open its own page, or ask by a program.")
        for rule in self._rules:
            rule(scope, headers)

    async def _exchange(self, scope: Scope, headers: Mapping[str, str], receive: Receive, send: Send) -> None:
        exchange = _Exchange(headers, receive, send, self._policy)
        try:
            if self._most is None:
                await self._app(scope, exchange.receive, exchange.send)
            else:
                with self._bodies.reading(headers, exchange.receive, self._most(scope)) as limited:
                    await self._app(scope, exchange.refusing(limited), exchange.send)
        except Refused as refused:
            exchange.refused = refused
        except asyncio.CancelledError:  # by a server that is being stopped and waits no longer
            exchange.refused = Refused(503, "Stopped.")
        if exchange.refused and not exchange.started:
            await exchange.refused.answer(exchange.send_own)


def headers_of(scope: Scope) -> dict[str, str]:
    """By their names in small letters; what comes twice is joined by commas, so two of Host are no name."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]}, {text}" if key in found else text
    return found


def _is_foreign(names: Names, scope: Scope, headers: Mapping[str, str]) -> bool:
    """Of another site's page. Without an origin come a browser's plain loads: a link that was followed is a person's
    own doing; anything else that another site's page loads is not."""
    origin = headers.get("origin")
    if origin is not None:
        return not names.own(origin, headers.get("host", ""))
    if not is_from_elsewhere(headers):
        return False
    return scope.get("method") in _WRITING or headers.get("sec-fetch-mode") != "navigate"


class _Exchange:
    """One request and its answer. What is left of a body that nobody wants is read away for a moment: a connection
    closed upon it would take the answer along."""

    def __init__(self, headers: Mapping[str, str], receive: Receive, send: Send, policy: bytes) -> None:
        self._receive, self._send, self._policy = receive, send, policy
        self._unread = has_body(headers)
        self._waits = "expect" in headers
        self.started = False
        self.refused: Refused | None = None

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):
            self._unread = False
        return message

    def refusing(self, receive: Receive) -> Receive:
        """Remembers what `receive` refuses, which the server within may say otherwise, or take for its own fault."""

        async def heard() -> Message:
            try:
                return await receive()
            except Refused as refused:
                self.refused = refused
                raise

        return heard

    async def send(self, message: Message) -> None:
        """What the server within sends; none of it after a refusal."""
        if self.refused is None or self.started:
            await self.send_own(message)

    async def send_own(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message = {**message, "headers": self._headers(message.get("headers", ()))}
        elif message["type"] == "http.response.body" and self._unread and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._read_away()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    def _headers(self, headers: Any) -> list[tuple[bytes, bytes]]:
        kept = [(name, value) for name, value in headers if not name.lower().startswith(_CROSS_ORIGIN)]
        kept.append((b"content-security-policy", self._policy))
        return [*kept, (b"connection", b"close")] if self._unread else kept

    async def _read_away(self) -> None:
        """As long as it keeps coming. A client that waits for leave to send it does not get that."""
        end, read = time.monotonic() + _SECONDS_TO_READ_AWAY, 0
        with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
            while self._unread and not self._waits and read < _MOST_READ_AWAY and time.monotonic() < end:
                message = await asyncio.wait_for(self.receive(), _SECONDS_FOR_MORE)
                read += len(message.get("body", b""))
