"""How the API's routes read requests and tell of failures, whatever the app around them does with either."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from .bodies import MIB, Bodies, has_body
from .guards import Guard, bearer_guard, login_guard, logins_in
from .jobs import ASKER_LEFT
from .line import RETRY_SECONDS, LineIsFull
from .misfits import misfit
from .origins import is_from_elsewhere
from .refusals import Message, Receive, Refused, later
from .wording import sentence_for_strangers, status_of

__all__ = ["MOST_BYTES", "Guard", "api_route", "bearer_guard", "login_guard", "logins_in"]

MOST_BYTES = 64 * MIB
"""Of a request's body."""

_NO_JSON = "The request's body is no JSON that can be read; send an object in UTF-8."
_HALF = "A text holds half a character; send it as valid Unicode."
_LOOKED_UP = ("clip_model_name", "clip", "captioner", "vocabulary", "family", "mode", "projection", "mix")
"""Fields whose texts are compared with known names and go no further; what is said of an unknown one helps more."""


def api_route(guard: Guard | None, bodies: Bodies, check_line: Callable[[], None]) -> type[APIRoute]:
    """Routes that refuse before they read, and answer every failure with a status and a sentence in `detail`.

    check_line: raises LineIsFull where a request could not wait any more."""

    class ApiRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    _check(request, guard)
                    if request.method == "POST":
                        check_line()
                    with bodies.reading(request.headers, request.receive, MOST_BYTES) as receive:
                        pieces = [await _body(receive)] if has_body(request.headers) else []
                        async with _noticed(request.receive):
                            return await handle(_Request(request.scope, _again(pieces, request.receive)))
                except Exception as error:  # noqa: BLE001  whoever asked is told, the log as well
                    refused = _refusal(error)
                    return JSONResponse(refused.content, refused.status, headers=refused.headers)

            return answer

    return ApiRoute


class _Request(Request):
    async def json(self) -> Any:
        """Raises Refused for what no other part of the program could write down again."""
        value = await super().json()
        if _has_half(_texts(value)):
            raise HTTPException(422, _HALF)
        return value


def _check(request: Request, guard: Guard | None) -> None:
    """A browser sends JSON for another site's page only after asking whether it may; a form, a text or nothing at all
    it just sends."""
    if guard is not None:
        guard.check(request.headers.get("authorization", ""))
    if request.method != "POST":
        return
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return
    if kind or has_body(request.headers):
        raise Refused(415, "The request's body is not declared as JSON; send it with Content-Type: application/json.")
    if is_from_elsewhere(request.headers):
        raise Refused(403, "Pages of other sites may not ask for this; ask by a program, or from this server's page.")


async def _body(receive: Receive) -> bytes:
    pieces = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(408, "The client left before its request was whole; send it again.")
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)


def _again(pieces: list[bytes], receive: Receive) -> Receive:
    """pieces: at most one, given away: a copy less lies in memory."""
    read = False

    async def once() -> Message:
        nonlocal read
        if read:
            return await receive()
        read = True
        return {"type": "http.request", "body": pieces.pop() if pieces else b"", "more_body": False}

    return once


@contextlib.asynccontextmanager
async def _noticed(receive: Receive) -> AsyncIterator[None]:
    """While a request is worked on: jobs that begin within hear of it when the client leaves."""
    left = threading.Event()

    async def watch() -> None:
        with contextlib.suppress(Exception):  # a host's middleware may have read the end already
            while (await receive())["type"] != "http.disconnect":
                pass
            left.set()

    known = ASKER_LEFT.set(left)
    watching = asyncio.ensure_future(watch())
    try:
        yield
    finally:
        watching.cancel()
        ASKER_LEFT.reset(known)


def _refusal(error: Exception) -> Refused:
    match error:
        case Refused():
            return error
        case LineIsFull():
            return later(sentence_for_strangers(error), RETRY_SECONDS)
        case RequestValidationError():
            return Refused(422, misfit(error.errors()))
        case HTTPException(status_code=400):
            return Refused(422, _NO_JSON)
        case HTTPException():
            return Refused(error.status_code, str(error.detail), error.headers)
        case UnicodeEncodeError():
            return Refused(422, _HALF)
        case _:
            return Refused(status_of(error), sentence_for_strangers(error))


def _texts(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return [*value, *(each for name, each in value.items() if name not in _LOOKED_UP)]


def _has_half(value: Any) -> bool:
    """Whether a text of a JSON value, or the name of a field, holds half a character."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            if not each.isascii() and not _is_whole(each):
                return True
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, dict):
            waiting += [*each, *each.values()]
    return False


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
