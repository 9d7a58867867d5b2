"""Who may use the API's routes.

Annotations are no texts here: the FastAPI that the webuis pin cannot look up those of a dependency that is an object.
"""

import base64
import binascii
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi.security import HTTPBasic, HTTPBearer
from starlette.requests import HTTPConnection

from .refusals import Refused


@dataclass(frozen=True)
class Guard:
    """check: raises Refused for an Authorization header that lets nobody in; asked before anything else is read.
    scheme: a dependency of the routes, which does nothing but describe that."""

    check: Callable[[str], None]
    scheme: Any


def bearer_guard(token: str) -> Guard:
    """Lets those pass who send the token."""
    refused = _refused("The token is absent or wrong; send it as a bearer token.", "Bearer")

    def check(sent: str) -> None:
        scheme, _, credentials = sent.partition(" ")
        if scheme.lower() != "bearer" or not _same(credentials.strip(), token):
            raise refused

    return Guard(check, _Bearer())


def login_guard(logins: Mapping[str, str]) -> Guard:
    """Lets those pass who log in by HTTP's basic authentication. logins: passwords by name."""
    refused = _refused("Name or password are absent or wrong; send them.", "Basic")

    def check(sent: str) -> None:
        scheme, _, credentials = sent.partition(" ")
        name, _, password = _plain(credentials).partition(":") if scheme.lower() == "basic" else ("", "", "")
        if not _same(password, logins.get(name)):
            raise refused

    return Guard(check, _Basic())


def logins_in(text: str | None) -> dict[str, str]:
    """Passwords by name, of "name:password,name:password"."""
    pairs = (login.strip().partition(":") for login in (text or "").split(",") if login.strip())
    return {name: password for name, _, password in pairs}


class _Bearer(HTTPBearer):
    async def __call__(self, request: HTTPConnection) -> None:
        return None


class _Basic(HTTPBasic):
    async def __call__(self, request: HTTPConnection) -> None:
        return None


def _refused(sentence: str, scheme: str) -> Refused:
    return Refused(401, sentence, {"WWW-Authenticate": scheme})


def _plain(credentials: str) -> str:
    try:
        data = base64.b64decode(credentials.strip(), validate=True)
    except (binascii.Error, ValueError):
        return ""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _same(sent: str, wanted: str | None) -> bool:
    """Headers arrive as Latin-1, whatever those who send them take for a letter's bytes."""
    if wanted is None:
        return False
    known = wanted.encode(errors="surrogateescape")
    plain, raw = sent.encode(), sent.encode("latin-1", errors="replace")
    return secrets.compare_digest(plain, known) | secrets.compare_digest(raw, known)
