"""How the API's routes read requests and tell of failures, whatever the app around them does with either."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from fastapi import Depends, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBasic, HTTPBasicCredentials, HTTPBearer
from starlette.exceptions import HTTPException as AnyHTTPException

from .wording import API, sentence_for, status_of

MOST_BYTES = 64 * 2**20
"""Of a request's body."""

Guard = Callable[..., None]
"""A dependency of routes that refuses those who may not use them."""


class ApiRoute(APIRoute):
    """Answers every failure with a status and a sentence in `detail`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(Request(request.scope, _limited(request)))
            except AnyHTTPException as error:
                return _refusal(error.status_code, str(error.detail), error.headers)
            except RequestValidationError as error:
                return _refusal(422, _misfit(error))
            except UnicodeEncodeError:
                return _refusal(422, "A text holds half a character; send it as valid Unicode.")
            except Exception as error:  # noqa: BLE001  whoever asked is told, the log as well
                return _refusal(status_of(error), sentence_for(error, API))

        return answer


def bearer_guard(token: str) -> Guard:
    """Lets those pass who send the token."""

    def check(sent: HTTPAuthorizationCredentials | None = Depends(HTTPBearer(auto_error=False))) -> None:  # noqa: B008
        if sent is None or not _same(sent.credentials, token):
            raise HTTPException(401, "The token is absent or wrong; send it as a bearer token.", _asking("Bearer"))

    return check


def login_guard(logins: Mapping[str, str]) -> Guard:
    """Lets those pass who log in by HTTP's basic authentication. logins: passwords by name."""

    def check(sent: HTTPBasicCredentials | None = Depends(HTTPBasic(auto_error=False))) -> None:  # noqa: B008
        if sent is None or not _same(sent.password, logins.get(sent.username)):
            raise HTTPException(401, "Name or password are absent or wrong; send them.", _asking("Basic"))

    return check


def logins_in(text: str | None) -> dict[str, str]:
    """Passwords by name, of "name:password,name:password"."""
    pairs = (login.strip().partition(":") for login in (text or "").split(",") if login.strip())
    return {name: password for name, _, password in pairs}


def _same(sent: str, wanted: str | None) -> bool:
    return wanted is not None and secrets.compare_digest(sent.encode(), wanted.encode())


def _asking(scheme: str) -> dict[str, str]:
    return {"WWW-Authenticate": scheme}


def _limited(request: Request) -> Callable[[], Awaitable[Any]]:
    received = 0

    async def receive() -> Any:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > MOST_BYTES:
            limit = f"{MOST_BYTES // 2**20} MiB"
            raise HTTPException(413, f"The request has more than {limit}; send smaller or fewer pictures.")
        return message

    return receive


def _misfit(error: RequestValidationError) -> str:
    """Says what is wrong with a request and not what was in it, which may be large, or nobody else's business."""
    faults = []
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"] if part != "body")
        faults.append(f"{place}: {fault['msg']}" if place else str(fault["msg"]))
    return f"The request does not fit: {'; '.join(faults)}."


def _refusal(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    # names and texts that a sentence repeats may hold halves of characters
    detail = sentence.encode(errors="backslashreplace").decode()
    return JSONResponse({"detail": detail}, status, headers=dict(headers or {}))
