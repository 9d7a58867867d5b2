"""One request, the same whether huggingface_hub stands on requests (to 0.36), httpx (1.x) or httpx2 (2.x).

Its session is asked for, because hosts set it up: proxies, certificates, offline mode. Its functions above that are
not: they wait for minutes where nobody sees it or can stop it, and write ten megabytes at a time, so that a connection
that breaks before that never comes to an end.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from .failures import Unreachable, is_network, of_answer, of_error
from .patience import told_wait

PIECE = 1 << 15
_MOST_HOPS = 10
_SECRETS = frozenset({"authorization", "cookie"})


@dataclass(frozen=True)
class Answer:
    """What came back before its body. url: where from. headers: whatever their letters' case."""

    url: str
    status: int
    headers: Mapping[str, str]
    _response: Any
    _uses_requests: bool

    @property
    def next_url(self) -> str:
        """Where a redirect leads; "" of any other answer."""
        location = self.headers.get("Location") if self.status in (301, 302, 303, 307, 308) else None
        return urljoin(self.url, location) if location else ""

    @property
    def is_encoded(self) -> bool:
        """Whether the body is longer, once unpacked, than its length says."""
        return (self.headers.get("Content-Encoding") or "identity").strip().lower() != "identity"

    def pieces(self) -> Iterator[bytes]:
        """The body, unpacked, as it comes in. Raises Unreachable."""
        with _in_words(self.url, self._uses_requests):
            if not self._uses_requests:
                yield from self._response.iter_bytes()
            elif self.is_encoded or not hasattr(self._response.raw, "read1"):
                yield from self._response.iter_content(PIECE)
            else:  # as iter_content throws away what came of a piece when the connection breaks
                while piece := self._response.raw.read1(PIECE):
                    yield piece


@contextmanager
def asked(method: str, url: str, headers: Mapping[str, str], seconds: float) -> Iterator[Answer]:
    """One answer of any kind; redirects are not followed. seconds: how long nothing may come. Raises Unreachable."""
    with ExitStack() as stack:
        uses_requests = False
        try:
            from huggingface_hub.utils import get_session

            session: Any = get_session()
            uses_requests = any(base.__module__.startswith("requests.") for base in type(session).__mro__)
            if uses_requests:
                sent = session.request(
                    method, url, headers=dict(headers), stream=True, allow_redirects=False, timeout=seconds
                )
                response = stack.enter_context(closing(sent))
            else:
                sent = session.stream(method, url, headers=dict(headers), follow_redirects=False, timeout=seconds)
                response = stack.enter_context(sent)
        except Exception as error:
            raise _said(error, url, uses_requests) from error
        yield Answer(url, response.status_code, response.headers, response, uses_requests)


@contextmanager
def followed(method: str, url: str, headers: Mapping[str, str], seconds: float) -> Iterator[Answer]:
    """The answer at the end of all redirects. What is for a hub's eyes alone, its token, is not sent to another host.

    Raises Unreachable, for answers of 400 and more too.
    """
    place, sent = url, dict(headers)
    for _ in range(_MOST_HOPS):
        with asked(method, place, sent, seconds) as answer:
            if not answer.next_url:
                check(answer, url)
                yield answer
                return
            if origin(answer.next_url) != origin(place):
                sent = without_secrets(sent)
            place = answer.next_url
    raise Unreachable("it leads from one address to another without end")


def who_asks(token: str | None) -> dict[str, str]:
    """The headers of a request to the hub. token: None for the one that is saved on this computer.

    `build_hf_headers` of huggingface_hub 2.x is not asked: it looks up at the hub which program started this one.
    """
    import huggingface_hub
    from huggingface_hub import constants

    if token is None and not constants.HF_HUB_DISABLE_IMPLICIT_TOKEN:
        token = _saved_token()
    if token and not re.fullmatch("[!-~]+", token):  # the libraries' errors would show it
        raise Unreachable("the token holds signs that no token has", "set HF_TOKEN to a valid one")
    python = ".".join(map(str, sys.version_info[:3]))
    sent = {"User-Agent": f"unrender; hf_hub/{huggingface_hub.__version__}; python/{python}"}
    return {**sent, "Authorization": f"Bearer {token}"} if token else sent


def _saved_token() -> str | None:
    try:
        from huggingface_hub import get_token
    except ImportError:  # before 0.20
        from huggingface_hub import HfFolder  # pyright: ignore[reportAttributeAccessIssue]

        get_token = HfFolder.get_token
    return (get_token() or "").strip() or None


def check(answer: Answer, asked_for: str) -> None:
    if answer.status >= 400:
        raise of_answer(answer.status, answer.headers, answer.url, asked_for, told_wait(answer.headers))
    if answer.status == 200 and "html" in (answer.headers.get("Content-Type") or ""):
        # no file that is ever taken is one; some mirrors tell no hash by which it would be found out
        raise Unreachable("a page to be read answers there, as where one has to log in to a network", may_pass=True)


def origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    default = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    return parts.scheme, parts.netloc.rpartition("@")[2].lower().removesuffix(default)


def without_secrets(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _SECRETS}


@contextmanager
def _in_words(url: str, uses_requests: bool) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise _said(error, url, uses_requests) from error


def _said(error: Exception, url: str, uses_requests: bool) -> Exception:
    """In words what the network or its package says; ImportError is a proxy's lacking package, ValueError a setting."""
    known = is_network(error) or isinstance(error, ImportError | ValueError)
    return of_error(error, url, uses_requests) if known else error
