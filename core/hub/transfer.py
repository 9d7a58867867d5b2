"""Bytes from a Hugging Face hub, through huggingface_hub's own requests.

`huggingface_hub.hf_hub_download` itself is not used: before 0.18 it knows no endpoint, before 1.1 it reports no
progress and cannot be stopped, since 2.0 it does not go on after an interruption, and all of them wait for minutes on
a network that swallows packets. What it is made of (`get_hf_file_metadata`, `http_get`) is the same from 0.16 to 2.4.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote, urlsplit

from ..errors import Cancelled
from ..progress import Progress, Task
from .failures import Unreachable, is_network, reason_of, status_of

T = TypeVar("T")

SMALL = 1 << 20
_TICK = 0.1
_GRACE = 1.0
_NO_HUB = "what answers there is no Hugging Face hub"


class Patience:
    """The seconds that may pass before anything arrives, all requests together; each arrival renews them."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.renew()

    def renew(self) -> None:
        self._until = time.monotonic() + self.seconds

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self._until


@dataclass(frozen=True)
class Listing:
    """A commit of a repository and its files: name to bytes, None where the hub does not say."""

    commit: str
    sizes: dict[str, int | None]


@dataclass(frozen=True)
class Located:
    """Where a file's bytes are to be had. etag: a name for exactly these bytes, safe as a file name."""

    url: str
    headers: dict[str, str]
    etag: str
    size: int | None


class Remote:
    """One repository on a hub. Every method raises Unreachable, and Cancelled when `progress` says so."""

    def __init__(self, endpoint: str, token: str | None, repo: str, patience: Patience, progress: Progress) -> None:
        self.endpoint = endpoint
        self.repo = repo
        self._token = token
        self._patience = patience
        self._progress = progress

    def listing(self, revision: str) -> Listing:
        """What the hub has under a branch, tag or commit."""

        def ask(_: threading.Event) -> Listing:
            from huggingface_hub import HfApi

            try:
                info = HfApi(endpoint=self.endpoint, token=self._token).model_info(
                    self.repo, revision=revision, files_metadata=True, timeout=self._patience.seconds
                )
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise Unreachable(_NO_HUB) from error
            return Listing(info.sha or "", {file.rfilename: file.size for file in info.siblings or ()})

        listing = self.run(ask)
        if not re.fullmatch(r"[0-9a-f]{7,64}", listing.commit):
            raise Unreachable(_NO_HUB)
        return listing

    def download(self, commit: str, name: str, size: int | None, blobs: Path, locks: Path, task: Task) -> Path:
        """Brings a file into `blobs` under its etag and returns the path; what is there already is not asked for
        again, what was broken off is continued."""
        located = self.run(lambda _: self.locate(commit, name))
        size = located.size if size is None else size
        blob = blobs / located.etag
        part = blob.with_name(blob.name + ".incomplete")
        meter = Meter(task, lambda: _size(part))
        if not blob.is_file():
            is_large = size is None or size > SMALL
            if is_large:
                self.run(lambda _: _expect_bytes(located))
            job = _Job(located, lambda: self.locate(commit, name), size, part, blob, locks)
            try:
                self.run(job.run, meter, forever=is_large)
            except Unreachable as error:
                kept = _size(part)
                if kept == 0:
                    raise
                reason = f"{error.reason} after {kept / 1e6:.0f} MB, from which the next attempt goes on"
                raise Unreachable(reason, error.status) from error
        meter.reach(size or 0)
        self._patience.renew()
        return blob

    def locate(self, commit: str, name: str) -> Located:
        """Asks the hub where a file's bytes are; to be called where waiting does no harm."""
        from huggingface_hub.file_download import get_hf_file_metadata
        from huggingface_hub.utils import build_hf_headers

        url = f"{self.endpoint}/{self.repo}/resolve/{quote(commit, safe='')}/{quote(name)}"
        with _quiet():
            found = get_hf_file_metadata(url, token=self._token, timeout=self._patience.seconds)
        headers = dict(build_hf_headers(token=self._token))
        location = str(found.location)
        if urlsplit(location).netloc != urlsplit(url).netloc:
            headers.pop("authorization", None)  # a signed address elsewhere; the token is for the hub alone
        etag = found.etag or f"{commit}-{name}"
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", etag):
            etag = "named-" + hashlib.sha256(etag.encode()).hexdigest()[:40]  # no hash of the file's own
        return Located(location, headers, etag, found.size)

    def run(self, work: Callable[[threading.Event], T], meter: Meter | None = None, forever: bool = False) -> T:
        """Runs `work` in a thread of its own, as name resolution and connecting cannot be limited in time otherwise.

        The caller's progress object is only used from the caller's thread.
        """
        stop = threading.Event()
        outcome = _start(work, stop)
        try:
            while not outcome.done():
                wait([outcome], timeout=_TICK)
                self._progress.check()
                if meter:
                    meter.update()
                if self._patience.is_over and not forever and not outcome.done():
                    raise Unreachable(f"nothing arrived within {self._patience.seconds:g} seconds")
        except BaseException:
            stop.set()
            wait([outcome], timeout=_GRACE)
            raise
        return _result(outcome)


class Meter:
    """Tells a progress bar how what arrives grows."""

    def __init__(self, task: Task, arrived: Callable[[], int]) -> None:
        self._task = task
        self._arrived = arrived
        self._told = 0

    def update(self) -> None:
        self.reach(self._arrived())

    def reach(self, size: int) -> None:
        if size > self._told:
            news, self._told = size - self._told, size
            self._task.advance(news)


class _Job:
    """One file's way to the disk, in the thread that does it."""

    def __init__(
        self,
        located: Located,
        locate: Callable[[], Located],
        size: int | None,
        part: Path,
        blob: Path,
        locks: Path,
    ) -> None:
        self._located = located
        self._locate = locate
        self._size = size
        self._part = part
        self._blob = blob
        self._lock = locks / f"{blob.name}.lock"

    def run(self, stop: threading.Event) -> None:
        from filelock import FileLock, Timeout

        self._lock.parent.mkdir(parents=True, exist_ok=True)
        self._blob.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(self._lock))
        while True:
            try:
                lock.acquire(timeout=_TICK)
                break
            except Timeout:
                check_stop(stop)
        try:
            if not self._blob.is_file():
                self._fetch(stop)
        finally:
            lock.release()

    def _fetch(self, stop: threading.Event) -> None:
        """Tries as long as each attempt brings bytes; starts over once when the bytes turn out wrong."""
        may_start_over = True
        while True:
            before = _size(self._part)
            try:
                self._receive(stop)
            except Exception as error:
                if not is_network(error) or stop.is_set():
                    raise
                too_long = self._size is not None and _size(self._part) > self._size
                if not too_long and _size(self._part) <= before:
                    raise
                if not too_long:
                    self._located = self._locate()  # signed addresses expire
                    continue
            else:
                if _is_intact(self._part, self._located.etag):
                    self._part.replace(self._blob)
                    return
            self._part.unlink()
            if not may_start_over:
                raise OSError("the bytes that came are not those of the file")
            may_start_over = False

    def _receive(self, stop: threading.Event) -> None:
        have = _size(self._part)
        if self._size is None or have > self._size:
            self._part.unlink(missing_ok=True)
            have = 0
        if self._size is None or have < self._size or not self._part.is_file():
            with _PartFile(self._part, stop) as sink:
                get_bytes(self._located.url, sink, self._located.headers, self._size, have)
        if self._size is not None and _size(self._part) != self._size:
            raise OSError(f"it ended after {_size(self._part)} of {self._size} bytes")


class _PartFile(io.BufferedWriter):
    """An unfinished file that takes no more bytes once the user said stop."""

    def __init__(self, path: Path, stop: threading.Event) -> None:
        super().__init__(io.FileIO(path, "a"))
        self._stop = stop

    def write(self, buffer: bytes) -> int:  # type: ignore[override]
        check_stop(self._stop)
        return super().write(buffer)


class EnoughError(Exception):
    """All bytes that were wanted have come; ends a transfer."""


class _FirstByte(io.BytesIO):
    def write(self, buffer: bytes) -> int:  # type: ignore[override]
        raise EnoughError


def _expect_bytes(located: Located) -> None:
    """Asks for one byte: the store that holds the bytes may be out of reach when the hub is not."""
    with suppress(EnoughError):
        get_bytes(located.url, _FirstByte(), {**located.headers, "Range": "bytes=0-0"}, 1, 0)


def check_stop(stop: threading.Event) -> None:
    if stop.is_set():
        raise Cancelled("The download was stopped; asking again goes on from there.")


def get_bytes(url: str, sink: io.IOBase, headers: dict[str, str], size: int | None, resume_at: int) -> None:
    from huggingface_hub.file_download import http_get

    # retries are this module's, as only it knows whether the last attempt brought anything
    once = {"_nb_retries": 0} if "_nb_retries" in inspect.signature(http_get).parameters else {}
    with _quiet():
        http_get(url, sink, resume_size=resume_at, headers=headers, expected_size=size, **once)  # type: ignore[arg-type]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the library's own bars and warnings off the terminal; ours take their place."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    from huggingface_hub.utils import logging as hub_logging

    showed_bars, verbosity = not are_progress_bars_disabled(), hub_logging.get_verbosity()
    if showed_bars:
        disable_progress_bars()
    hub_logging.set_verbosity_error()
    try:
        yield
    finally:
        hub_logging.set_verbosity(verbosity)
        if showed_bars:
            enable_progress_bars()


def _start(work: Callable[[threading.Event], T], stop: threading.Event) -> Future[T]:
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work(stop))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            outcome.set_exception(error)

    threading.Thread(target=run, name="unrender-download", daemon=True).start()
    return outcome


def _result(outcome: Future[T]) -> T:
    error = outcome.exception()
    if error is None:
        return outcome.result()
    if is_network(error):
        raise Unreachable(reason_of(error), status_of(error)) from error
    raise error


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _is_intact(path: Path, etag: str) -> bool:
    """Large files carry their SHA-256 as etag, small ones git's SHA-1 of a blob, or from some mirrors of the bytes."""
    if re.fullmatch(r"[0-9a-f]{64}", etag):
        digests = [hashlib.sha256()]
    elif re.fullmatch(r"[0-9a-f]{40}", etag):
        digests = [hashlib.sha1(b"blob %d\0" % _size(path), usedforsecurity=False), hashlib.sha1(usedforsecurity=False)]
    else:
        return True
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            for digest in digests:
                digest.update(block)
    return etag in [digest.hexdigest() for digest in digests]
