"""Requests to one server that speaks OpenAI's API, through OpenAI's own client library."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from concurrent.futures import wait
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urljoin, urlsplit

from ...cures import Cure, Give
from ...foreign import shown
from ...hub.failures import Unreachable, in_words, is_network, of_error
from ...hub.http import origin
from ...hub.patience import told_wait
from ...progress import Progress
from ...settings import EndpointSettings
from .address import Address
from .answer import Writing, concerns_picture, parsed, quoted, said_in
from .key import Key

if TYPE_CHECKING:
    from openai import AsyncOpenAI

T = TypeVar("T")

_SENT = frozenset(
    {"host", "content-type", "content-length", "accept", "connection", "x-stainless-raw-response"}  # it reads the last
)
"""Of the headers that the library would send. Others tell of this computer, or hold what the environment says of a key,
an organization or a project that are meant for OpenAI."""
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 529})
_FIRST_WAIT, _LONGEST_TOLD = 0.5, 120.0
_TICK = 0.1
_GRACE = 2.0
_SECONDS_TO_CONNECT = 10.0
_WHOLE = 10
"""An answer may take so many times as long as it may be silent."""
_LARGEST_LIST = 8 << 20
_LARGEST_ERROR = 64 << 10
_LONGEST_CODE = 4096
"""Of an error's body, in which a code is looked for."""


class Client:
    """Used in a `with`, by one thread. Each request is waited for on a thread of its own, so that whoever waits hears
    within a moment that he should stop, and the connection is closed then: servers stop writing when it is.

    All methods raise Unreachable, Cancelled."""

    def __init__(self, address: Address, key: Key, settings: EndpointSettings, progress: Progress) -> None:
        self._address = address
        self._key = key
        self._timeout = settings.timeout
        self._retries = settings.retries
        self._progress = progress

    def __enter__(self) -> Client:
        self._client = _client(self._address, self._key, self._timeout)  # before there is a thread to be left behind
        self._asks = self._client.chat.completions, self._client.models  # imports, which no server is to be blamed for
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="unrender endpoint", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):  # whatever closing says, it is over
            wait([asyncio.run_coroutine_threadsafe(self._client.close(), self._loop)], timeout=_GRACE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_GRACE)
        if not self._thread.is_alive():
            self._loop.close()

    def chat(self, fields: Mapping[str, Any]) -> Writing:
        """What the server writes to a request of these fields."""
        return self._patiently(lambda: self._chat(fields))

    def models(self) -> list[str]:
        """The ids that it lists, in its order."""
        return self._patiently(self._models)

    def post(self, path: str, fields: Mapping[str, Any]) -> None:
        """A request outside of OpenAI's API. path: from the root of the server, with a slash."""
        self._patiently(lambda: self._post(path, fields))

    async def _chat(self, fields: Mapping[str, Any]) -> Writing:
        writing = Writing()
        named: Any = {name: fields[name] for name in ("model", "messages")}
        more = {name: value for name, value in fields.items() if name not in named}  # as no version knows all of them
        create = self._asks[0].with_streaming_response.create
        # in a stream bytes come while it writes, and it hears when nobody listens any more
        async with create(**named, stream=True, extra_body=more) as response:
            async for piece in response.iter_bytes():
                writing.feed(piece)
        writing.finish()
        return writing

    async def _models(self) -> list[str]:
        data = bytearray()
        async with self._asks[1].with_streaming_response.list() as response:
            async for piece in response.iter_bytes():
                data += piece
                if len(data) > _LARGEST_LIST:
                    raise Unreachable("its list of models never ends")
        listed = parsed(bytes(data), _LARGEST_LIST).get("data")
        if not isinstance(listed, list):
            raise Unreachable("it lists no models")
        ids = (each.get("id") for each in listed if isinstance(each, dict))
        return [each for each in ids if isinstance(each, str) and each]

    async def _post(self, path: str, fields: Mapping[str, Any]) -> None:
        url = urljoin(self._address.base, path)
        async with self._client._client.stream("POST", url, json=dict(fields)):
            pass  # what it says of success is of no interest

    def _patiently(self, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Asks again after what may pass, as late as the server wishes, if that is soon enough."""
        for attempt in itertools.count():
            try:
                return self._waited(ask())
            except Unreachable as trouble:
                if not trouble.passes or attempt >= self._retries:
                    raise
                told = trouble.told_wait
            if told is not None and told > _LONGEST_TOLD:
                raise Unreachable(f"it asks to wait for {in_words(told)}", "try again later")
            self._pause(_FIRST_WAIT * 2 ** min(attempt, 5) if told is None else max(told, _FIRST_WAIT))
        raise AssertionError

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._progress.task(f"Waiting for {self._address.host}"):
            while (rest := until - time.monotonic()) > 0:
                self._progress.check()
                time.sleep(min(rest, _TICK))

    def _waited(self, asking: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(self._in_words(asking), self._loop)
        try:
            while not wait([future], timeout=_TICK).done:
                self._progress.check()
        except BaseException:
            future.cancel()
            wait([future], timeout=_TICK)
            raise
        found, trouble = future.result()
        if trouble is not None:  # raised here, so that no error of a library, with what the server said, hangs on it
            if self._key.is_in(trouble.reason):
                trouble.reason = "it failed, in words that hold the key"
            raise trouble
        return found

    async def _in_words(self, asking: Coroutine[Any, Any, T]) -> tuple[Any, Unreachable | None]:
        whole = self._timeout * _WHOLE
        try:
            return await asyncio.wait_for(asking, whole), None
        except asyncio.TimeoutError:
            return None, Unreachable(f"it was not done after {in_words(whole)}", Give("timeout", "more seconds"))
        except Exception as error:
            if (told := self._of(error)) is None:
                raise
            return None, told

    def _of(self, error: BaseException) -> Unreachable | None:
        """What is said of an error; None for one of this program."""
        chain = list(_chain(error))
        told = next((each for each in chain if isinstance(each, Unreachable)), None)
        if told is not None:
            return told.with_traceback(None)
        network = [each for each in chain if is_network(each)]
        if not network:
            return None
        kind = type(network[0]).__name__.lower()
        if "timeout" in kind and "connect" not in kind:
            return Unreachable(f"it sent nothing for {in_words(self._timeout)}", Give("timeout", "more seconds"))
        return of_error(network[-1], self._address.base, uses_requests=False, proxied=not self._address.is_here)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it comes from, of several attempts the first."""
    while error is not None:
        yield error
        several = getattr(error, "exceptions", None)
        error = several[0] if several else error.__cause__ or error.__context__


def _client(address: Address, key: Key, timeout: float) -> AsyncOpenAI:
    """The library's client, which sends nothing of its own, follows no redirect and asks nothing twice.

    The environment's proxies and certificates are how the world is reached where there are some; this computer is
    reached without them, which many a proxy makes impossible."""
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

    async def ask(request: Any) -> None:
        for name in [name for name in request.headers if name.lower() not in _SENT]:
            del request.headers[name]
        request.headers["Accept-Encoding"] = "identity"  # a small answer may be a large one, packed
        request.headers["User-Agent"] = "unrender"
        if key.text:
            request.headers["Authorization"] = f"Bearer {key.text}"

    async def look(response: Any) -> None:
        """Before a body is read: the library reads those of errors and redirects whole, however long they are."""
        encoding = (response.headers.get("Content-Encoding") or "identity").strip().lower()
        if response.status_code >= 300:
            body = b"" if encoding != "identity" else await _beginning(response)
            raise _refusal(address, key, response.status_code, response.headers, body)
        if encoding != "identity":
            raise Unreachable("its answer is packed, which it was asked not to do")

    hooks = {"request": [ask], "response": [look]}
    trusting = not address.is_here
    patience = Timeout(timeout, connect=min(timeout, _SECONDS_TO_CONNECT))
    # nothing is left to the environment's OPENAI_...
    return AsyncOpenAI(
        base_url=address.base,
        api_key="none",
        max_retries=0,
        timeout=patience,
        http_client=DefaultAsyncHttpxClient(
            trust_env=trusting, follow_redirects=False, event_hooks=hooks, timeout=patience
        ),
    )


async def _beginning(response: Any) -> bytes:
    data = bytearray()
    async for piece in response.aiter_raw():
        data += piece
        if len(data) >= _LARGEST_ERROR:
            break
    return bytes(data[:_LARGEST_ERROR])


def _refusal(address: Address, key: Key, status: int, headers: Mapping[str, str], body: bytes) -> Unreachable:
    """What an answer says that is none."""
    if status < 400:
        return _redirect(address, str(headers.get("Location") or ""), status)
    said = _said(body)
    return Unreachable(
        f"it answered {status}{'' if key.is_in(said) else quoted(said)}",
        *_cures(address, key, status),
        status=status,
        told_wait=told_wait(headers),
        passes=status in _PASSING,
        said=said,
        of_picture=concerns_picture(status, f"{said} {body.decode(errors='replace')[:_LONGEST_CODE]}"),
    )


def _said(body: bytes) -> str:
    """Nothing of a page."""
    try:
        return said_in(parsed(body))
    except Unreachable:
        text = body.decode(errors="replace").strip()
        return "" if text.startswith("<") else text


def _redirect(address: Address, location: str, status: int) -> Unreachable:
    try:
        to = urlsplit(urljoin(f"{address.base}/", location))
        place = shown(f"{to.scheme}://{to.hostname or ''}" + ("" if to.port is None else f":{to.port}"))
        elsewhere = origin(place) != origin(address.base)
    except ValueError:
        return Unreachable(f"it answered {status}, with an address that is none")
    if not location:
        return Unreachable(f"it answered {status}, and nothing else")
    if elsewhere:
        return Unreachable(
            f"it sends the picture on to another address, {place}", "name that one yourself if you know it"
        )
    return Unreachable(f"it answered {status}, as it wants to be asked at {shown(to.path)}", "check the address")


def _cures(address: Address, key: Key, status: int) -> tuple[Cure, ...]:
    if status in (401, 403):
        return ("check the key",) if key.text else (key.why_none or "set UNRENDER_ENDPOINT_KEY to a key of yours",)
    if status == 404 and "/v1" not in address.base:
        return (Give("captioner", f"{address.base}/v1#{address.model or 'MODEL'}"),)
    if status == 413:
        return (Give("longest_side", "less"),)
    return ()
