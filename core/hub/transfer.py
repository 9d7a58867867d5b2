"""Bytes from a Hugging Face hub: its list of a repository's files, and one file's way to the disk."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from ..errors import Cancelled
from ..progress import Progress, Task
from .failures import Unreachable, broken, in_words
from .http import Answer, asked, check, followed, origin, who_asks, without_secrets
from .listing import NO_HUB, Listed, Listing, read_listing
from .patience import Patience

T = TypeVar("T")

_TICK = 0.1
_GRACE = 1.0
_NOTHING_THERE = 416
_LONGEST_LIST = 64 << 20
_WRONG = "the bytes that came are not those of the file"
IDENTITY = {"Accept-Encoding": "identity"}
"""As what is packed on the way cannot be taken up again in the middle."""


@dataclass(frozen=True)
class Wanted:
    """A file to be had. etag: a name for exactly these bytes, safe as a file name."""

    url: str
    etag: str
    size: int | None


class Remote:
    """One repository on a hub. Every method raises Unreachable, and Cancelled when `progress` says so."""

    def __init__(self, endpoint: str, token: str | None, repo: str, patience: Patience, progress: Progress) -> None:
        self.endpoint = endpoint
        self.repo = repo
        self._token = token
        self.patience = patience
        self._progress = progress

    def listing(self, revision: str) -> Listing:
        """What the hub has under a branch, tag or commit."""
        address = f"{self.endpoint}/api/models/{self.repo}/revision/{quote(revision, safe='')}?blobs=true"

        def ask(stop: threading.Event) -> bytes:
            with followed("GET", address, self.headers(), self.patience.seconds) as answer:
                return self._all_of(answer, stop)

        return read_listing(self.insist(ask))

    def _all_of(self, answer: Answer, stop: threading.Event) -> bytes:
        content = bytearray()
        for piece in answer.pieces():
            check_stop(stop)
            content += piece
            self.patience.deliver(len(content))
            if len(content) > _LONGEST_LIST:
                raise Unreachable(NO_HUB)
        return bytes(content)

    def download(self, commit: str, name: str, listed: Listed, blobs: Path, locks: Path, task: Task) -> Path:
        """Brings a file into `blobs` under its etag and returns the path; what is there already is not asked for
        again, what was broken off is continued."""
        wanted = self._wanted(commit, name, listed)
        blob = blobs / wanted.etag
        part = part_of(blobs, wanted.etag)
        meter = Meter(task, lambda: size_of(part))
        if not blob.is_file():
            job = _Job(wanted, self.headers, self.patience, part, blob, locks)
            try:
                self.insist(job.run, meter)
            except Unreachable as error:
                kept = size_of(part)
                if kept and wanted.size is not None:
                    error.reason += f" after {kept / 1e6:.0f} MB, from which the next attempt goes on"
                raise
        meter.reach(wanted.size or 0)
        return blob

    def _wanted(self, commit: str, name: str, listed: Listed) -> Wanted:
        url = self.address(commit, name)
        if listed.digest is None or listed.size is None:  # mirrors do not always tell
            told = self.insist(lambda _: self._told_of(url))
            listed = Listed(told.size if listed.size is None else listed.size, listed.digest or told.digest)
        etag = listed.digest or f"{commit}-{name}"
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", etag):
            etag = "named-" + hashlib.sha256(etag.encode()).hexdigest()[:40]  # no hash of the file's own
        return Wanted(url, etag, listed.size)

    def address(self, commit: str, name: str) -> str:
        return f"{self.endpoint}/{self.repo}/resolve/{quote(commit, safe='')}/{quote(name)}"

    def headers(self) -> dict[str, str]:
        """To be asked for where waiting does no harm: a saved token may have to be renewed."""
        return who_asks(self._token)

    def _told_of(self, url: str) -> Listed:
        """What a hub says of a file before it sends it. Where the bytes lie elsewhere, the hub itself says it of them:
        what the other host calls them is another name, and its length that of a redirect."""
        place, sent, etag, size = url, {**self.headers(), **IDENTITY}, None, None
        for _ in range(10):
            with asked("HEAD", place, sent, self.patience.seconds) as answer:
                at_hub = origin(place) == origin(url)
                if not at_hub and answer.status >= 400:
                    break  # an address that is signed for GET alone
                check(answer, url)
                etag = etag or answer.headers.get("X-Linked-Etag")
                size = size or answer.headers.get("X-Linked-Size")
                if answer.next_url and not (etag and size):
                    if origin(answer.next_url) != origin(place):
                        sent = without_secrets(sent)
                    place = answer.next_url
                    continue
                if not (answer.next_url or answer.is_encoded):
                    size = size or answer.headers.get("Content-Length")
                if at_hub and not answer.next_url:
                    etag = etag or answer.headers.get("ETag")
            break
        digest = (etag or "").removeprefix("W/").strip('"')
        return Listed(int(size) if size and size.isdecimal() else None, digest or None)

    def insist(self, work: Callable[[threading.Event], T], meter: Meter | None = None) -> T:
        """Does `work` until it succeeds, or it makes no sense to do it once more."""
        self.patience.begin()
        while True:
            self.patience.ask()
            try:
                return self._run(work, meter)
            except Unreachable as error:
                seconds = self.patience.wait_after(error)
                if seconds is None:
                    if error.told_wait:
                        error.reason += f" and asks to wait for {in_words(error.told_wait)}"
                    if self.patience.stalled_for > self.patience.seconds:
                        error.reason += f", and nothing more came for {in_words(self.patience.stalled_for)}"
                    raise
                self._wait(seconds, error.reason)

    def _wait(self, seconds: float, reason: str) -> None:
        label = f"Waiting for {urlsplit(self.endpoint).hostname}, as {reason}"
        end, told = time.monotonic() + seconds, 0
        with self._progress.task(label, max(1, round(seconds)), "seconds") as task:
            while (left := end - time.monotonic()) > 0:
                self._progress.check()
                time.sleep(min(_TICK, left))
                gone = int(seconds - left)
                task.advance(gone - told)
                told = gone

    def _run(self, work: Callable[[threading.Event], T], meter: Meter | None) -> T:
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
                if self.patience.is_over and not outcome.done():
                    raise Unreachable(f"nothing arrived within {self.patience.seconds:g} seconds", may_pass=True)
        except BaseException:
            stop.set()
            wait([outcome], timeout=_GRACE)
            raise
        return outcome.result()


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
    """One file's way to the disk, in the threads that do it one after the other. Raises OSError where the disk does."""

    def __init__(
        self,
        wanted: Wanted,
        headers: Callable[[], dict[str, str]],
        patience: Patience,
        part: Path,
        blob: Path,
        locks: Path,
    ) -> None:
        self._wanted = wanted
        self._headers = headers
        self._patience = patience
        self._part = part
        self._blob = blob
        self._lock = locks / f"{blob.name}.lock"
        self._may_start_over = True

    def run(self, stop: threading.Event) -> None:
        """One attempt."""
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
                self._patience.touch()
        try:
            while not self._blob.is_file():
                self._fetch(stop)
        finally:
            lock.release()

    def _fetch(self, stop: threading.Event) -> None:
        size = self._wanted.size
        if size is None or size_of(self._part) > size:
            self._part.unlink(missing_ok=True)  # nobody can tell where it would go on
        if size is None or size_of(self._part) < size or not self._part.is_file():
            try:
                self._receive(stop)
            except Unreachable as error:
                if error.status != _NOTHING_THERE:
                    raise
                return self._start_over()
        if size is not None and size_of(self._part) < size:
            raise broken(f"the connection ended after {size_of(self._part)} of {size} bytes")
        if _is_intact(self._part, self._wanted.etag, self._patience.touch):
            self._part.replace(self._blob)
            return
        self._start_over()

    def _start_over(self) -> None:
        self._part.unlink(missing_ok=True)
        if not self._may_start_over:
            raise Unreachable(_WRONG)
        self._may_start_over = False

    def _receive(self, stop: threading.Event) -> None:
        have = size_of(self._part)
        headers = {**self._headers(), **IDENTITY, **({"Range": f"bytes={have}-"} if have else {})}
        with followed("GET", self._wanted.url, headers, self._patience.seconds) as answer:
            self._patience.touch()
            check_stop(stop)
            goes_on = answer.status == 206 and not answer.is_encoded and _first_byte(answer) == have
            length = _length(answer)
            if answer.status == 206 and not goes_on:
                self._part.unlink(missing_ok=True)
                raise broken("another part came than was asked for")
            with self._part.open("ab" if goes_on else "wb") as sink:
                came = self._write(answer, sink, stop, have if goes_on else 0)
        if self._wanted.size is None and length is not None and came < length:
            raise broken(f"the connection ended after {came} of {length} bytes")

    def _write(self, answer: Answer, sink: Any, stop: threading.Event, have: int) -> int:
        """Returns how many bytes came now. No more is written than the file can have."""
        came = 0
        for piece in answer.pieces():
            check_stop(stop)
            sink.write(piece)
            came += len(piece)
            self._patience.deliver(have + came)
            if self._wanted.size is not None and have + came > self._wanted.size:
                break
        return came


def part_of(blobs: Path, etag: str) -> Path:
    """Where the bytes of a file gather that has not come whole."""
    return blobs / f"{etag}.incomplete"


def check_stop(stop: threading.Event) -> None:
    if stop.is_set():
        raise Cancelled("The download was stopped; asking again goes on from there.")


def _start(work: Callable[[threading.Event], T], stop: threading.Event) -> Future[T]:
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(work(stop))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            outcome.set_exception(error)

    threading.Thread(target=run, name="unrender-download", daemon=True).start()
    return outcome


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _first_byte(answer: Answer) -> int | None:
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range") or "")
    return int(found.group(1)) if found else None


def _length(answer: Answer) -> int | None:
    length = answer.headers.get("Content-Length") or ""
    return int(length) if length.isdecimal() and not answer.is_encoded else None


def _is_intact(path: Path, etag: str, goes_on: Callable[[], None]) -> bool:
    """Large files carry their SHA-256 as etag, small ones git's SHA-1 of a blob, or from some mirrors of the bytes."""
    if re.fullmatch(r"[0-9a-f]{64}", etag):
        digests = [hashlib.sha256()]
    elif re.fullmatch(r"[0-9a-f]{40}", etag):
        digests = [
            hashlib.sha1(b"blob %d\0" % size_of(path), usedforsecurity=False),
            hashlib.sha1(usedforsecurity=False),
        ]
    else:
        return True
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            goes_on()
            for digest in digests:
                digest.update(block)
    return etag in [digest.hexdigest() for digest in digests]
