"""A small server on the loopback that answers as a Hugging Face hub of 2026 does, and the fixtures around it.

As seen in huggingface_hub's source and in what users quote of its headers (huggingface_hub #4698, #2586,
swift-transformers #209, mlx-examples #759).
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

import pytest
from unrender.core.errors import Cancelled, ModelError
from unrender.core.hub import Hub
from unrender.core.progress import Progress

COMMIT = "c0ffee" + "0" * 34
BRANCH_COMMIT = "babe" + "1" * 36
LARGE = bytes(range(256)) * (24 << 12)
REPO = "someone/some-model"
STORE = "/xet-bridge-us/"
_UNDER_LFS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack", ".onnx")
_NO_NAME = "Invalid username or password."
_NO_TOKEN = "Invalid credentials in Authorization header"


@dataclass
class Refusal:
    """What requests get whose method and path hold `part`, so many times."""

    part: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1


class FakeHub:
    """What the server has, how it misbehaves, and what it was asked."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {
            REPO: {
                "config.json": b'{"model_type": "blip"}',
                "vocab.txt": b"[PAD]\n[UNK]\n",
                "model.safetensors": LARGE,
                "pytorch_model.bin": b"pickle",
            }
        }
        self.branches: dict[str, dict[str, bytes]] = {}
        self.renamed: dict[str, str] = {}
        self.gated: dict[str, set[str]] = {}  # by repository the tokens that are let in
        self.tokens: set[str] | None = None  # None: any that looks like one
        self.needs_token = ""  # all repositories are private, and seen with this one alone
        self.tells_hashes = True  # some mirrors list names alone
        self.links_tell = True  # and some do not say what their redirects lead to
        self.packs_always = False  # and some pack whatever they are asked for
        self.signatures: int | None = None  # after so many uses signed addresses have expired; None: never
        self.status: dict[str, int] = {}
        self.refusals: list[Refusal] = []
        self.break_after: list[int] = []
        self.ignores_ranges = False
        self.swapped: dict[str, bytes] = {}  # by name what is sent in a file's place, under its hash
        self.hangs_on: str | None = None
        self.slowness = 0.0
        self.piece = 1 << 20
        self.requests: list[tuple[str, str, str]] = []
        self.tokens_seen: list[tuple[bool, str]] = []  # whether the store was asked, and with what
        self.sent: list[int] = []
        self.release = threading.Event()
        self.url = ""
        self.store_url = ""
        self.stored: dict[str, tuple[str, bytes]] = {}

    def asked(self, method: str, ending: str = "") -> list[tuple[str, str, str]]:
        """What the hub itself was asked, the place to which it sends for a small file left out."""
        there = [asked for asked in self.requests if asked[0] == method and asked[1].endswith(ending)]
        return [asked for asked in there if "/resolve-cache/" not in asked[1]]


class Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    is_store = False
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def handle(self) -> None:
        with suppress(ConnectionError):  # who asked has gone away
            super().handle()

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        path, _, query = self.path.partition("?")
        self.hub.requests.append((self.command, path, self.headers.get("Range", "")))
        self.hub.tokens_seen.append((self.is_store, self.headers.get("Authorization", "")))
        if self.hub.hangs_on is not None and self.hub.hangs_on in f"{self.command} {path}":
            self.hub.release.wait(60)
            self.close_connection = True
            return
        for part, status in self.hub.status.items():
            if part in path:
                return self.refuse(status)
        for refusal in self.hub.refusals:
            if refusal.times > 0 and refusal.part in f"{self.command} {path}":
                refusal.times -= 1
                return self.refuse(refusal.status, refusal.headers)
        if self.is_store:
            return self.serve_stored(path, query)
        old = next((old for old in self.hub.renamed if f"/{old}/" in path), None)
        if old:
            return self.lead_to(self.path.replace(f"/{old}/", f"/{self.hub.renamed[old]}/"), 307)
        if path.startswith("/api/models/"):
            return self.list_files(path, "blobs=" in query)
        if path.startswith("/api/resolve-cache/models/"):
            found = re.fullmatch("/api/resolve-cache/models/(.+?)/([0-9a-f]{40})/(.+)", path)
            assert found
            repo, commit, file = found.groups()
            return self.serve(unquote(file), self.files(repo, commit)[1][unquote(file)], commit)
        return self.resolve(path)

    def refuse(self, status: int, headers: dict[str, str] | None = None, message: str = "", code: str = "") -> None:
        body = json.dumps({"error": message or "no"}).encode()
        self.send_response(status)
        told = {"X-Error-Message": message, "X-Error-Code": code, "Content-Type": "application/json", **(headers or {})}
        for name, value in told.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def lead_to(self, address: str, status: int, headers: dict[str, str] | None = None) -> None:
        body = f"Temporary Redirect. Redirecting to {address}".encode()
        self.send_response(status)
        for name, value in {"Location": address, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def is_refused(self, repo: str, is_file: bool) -> bool:
        """Whether who asks may not, which is answered then."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and self.hub.tokens is not None and token not in self.hub.tokens:
            self.refuse(401, message=_NO_TOKEN)
        elif repo not in self.hub.repos or (self.hub.needs_token and is_file and token != self.hub.needs_token):
            self.refuse(*((404, {}, "Repository not found", "RepoNotFound") if token else (401, {}, _NO_NAME)))
        elif is_file and token not in self.hub.gated.get(repo, {token}):
            self.refuse(403 if token else 401, {}, f"Access to model {repo} is restricted.", "GatedRepo")
        else:
            return False
        return True

    def files(self, repo: str, revision: str) -> tuple[str, dict[str, bytes]]:
        if revision in self.hub.branches or revision == BRANCH_COMMIT:
            name = next(iter(self.hub.branches)) if revision == BRANCH_COMMIT else revision
            return BRANCH_COMMIT, self.hub.branches[name]
        return (COMMIT, self.hub.repos[repo]) if revision in ("main", COMMIT) else ("", {})

    def list_files(self, path: str, with_blobs: bool) -> None:
        repo, _, revision = path.removeprefix("/api/models/").partition("/revision/")
        if self.is_refused(repo, is_file=False):
            return
        commit, files = self.files(repo, unquote(revision) or "main")
        if not commit:
            return self.refuse(404, {}, f"Invalid rev id: {unquote(revision)}", "RevisionNotFound")
        told = with_blobs and self.hub.tells_hashes
        siblings = [{"rfilename": name, **(_blob(name, data) if told else {})} for name, data in files.items()]
        answer = {"_id": "1", "id": repo, "modelId": repo, "sha": commit, "siblings": siblings, "tags": []}
        body = json.dumps(
            {
                **answer,
                "private": False,
                "gated": "manual" if repo in self.hub.gated else False,
                "downloads": 0,
                "likes": 0,
            }
        ).encode()
        self.send_all(body, {"Content-Type": "application/json; charset=utf-8", "ETag": f'W/"{len(body):x}-x"'})

    def resolve(self, path: str) -> None:
        repo, _, rest = path.lstrip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        name = unquote(name)
        if self.is_refused(repo, is_file=True):
            return
        commit, files = self.files(repo, unquote(revision))
        if not commit:
            return self.refuse(404, {}, f"Invalid rev id: {revision}", "RevisionNotFound")
        told = {"X-Repo-Commit": commit, "RateLimit": '"resolvers";r=2999;t=172'}
        if name not in files:
            return self.refuse(404, told, "Entry not found", "EntryNotFound")
        data = files[name]
        if not name.endswith(_UNDER_LFS):
            etag = quote(f'"{_git_hash(data)}"')
            return self.lead_to(
                f"/api/resolve-cache/models/{repo}/{commit}/{quote(name)}?{quote(path)}=&etag={etag}", 307, told
            )
        digest = _sha256(data)
        self.hub.stored[digest] = (name, data)
        if self.hub.links_tell:
            told |= {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(data)), "X-Xet-Hash": digest[::-1]}
        self.lead_to(f"{self.hub.store_url}{STORE}{digest}?Expires=1781098782&Signature={self.signature()}", 302, told)

    def signature(self) -> int:
        if self.hub.signatures is not None:
            self.hub.signatures -= 1
        return self.hub.signatures if self.hub.signatures is not None else 0

    def serve_stored(self, path: str, query: str) -> None:
        if query.rpartition("Signature=")[2].startswith("-") or self.headers.get("Authorization"):
            return self.refuse(403, {"Content-Type": "application/xml"}, "AccessDenied")
        name, data = self.hub.stored[path.removeprefix(STORE)]
        self.serve(name, data, "")

    def serve(self, name: str, data: bytes, commit: str) -> None:
        etag = _git_hash(data) if commit else _sha256(data[:100])
        headers = {"ETag": f'"{etag}"', "Accept-Ranges": "bytes", **({"X-Repo-Commit": commit} if commit else {})}
        data = self.hub.swapped.get(name, data)
        if commit and (self.hub.packs_always or self.packs()):
            return self.send_all(data, {**headers, "ETag": f'W/"{etag}"'})
        start, stop = 0, len(data)
        wanted = self.headers.get("Range", "")
        partial = wanted.startswith("bytes=") and not self.hub.ignores_ranges
        if partial:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, stop = int(first), int(last) + 1 if last else len(data)
            if start >= len(data):
                return self.refuse(416, {"Content-Range": f"bytes */{len(data)}"})
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(data)}"
        self.send_response(206 if partial else 200)
        for key, value in {**headers, "Content-Length": str(stop - start)}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.send_part(data, start, stop)

    def packs(self) -> bool:
        return "gzip" in self.headers.get("Accept-Encoding", "")

    def send_all(self, body: bytes, headers: dict[str, str]) -> None:
        """Packed where that is allowed, and then without a length, as the hub's own front does."""
        packs = self.hub.packs_always or self.packs()
        self.send_response(200)
        length = {"Transfer-Encoding": "chunked"} if self.command == "GET" else {"Content-Length": str(len(body) // 2)}
        sized = {"Content-Encoding": "gzip", **length}
        for name, value in {**headers, **(sized if packs else {"Content-Length": str(len(body))})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "GET":
            return
        if packs:
            packed = gzip.compress(body)
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(packed), packed)
        self.wfile.write(body)

    def send_part(self, data: bytes, start: int, stop: int) -> None:
        if stop - start > 1 and self.hub.break_after:
            stop = min(stop, start + self.hub.break_after.pop(0))
            self.close_connection = True
        self.hub.sent.append(0)
        for at in range(start, stop, self.hub.piece):
            try:
                self.wfile.write(data[at : min(at + self.hub.piece, stop)])
            except (BrokenPipeError, ConnectionResetError):  # who asked wants no more
                self.close_connection = True
                return
            self.hub.sent[-1] = min(at + self.hub.piece, stop) - start
            time.sleep(self.hub.slowness)


@lru_cache(maxsize=64)
def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@lru_cache(maxsize=64)
def _git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def _blob(name: str, data: bytes) -> dict[str, object]:
    """What blobs=true adds to a file's name."""
    if not name.endswith(_UNDER_LFS):
        return {"size": len(data), "blobId": _git_hash(data)}
    lfs = {"sha256": _sha256(data), "size": len(data), "pointerSize": 134}
    return {"size": len(data), "blobId": _git_hash(data[:134]), "lfs": lfs}


@contextmanager
def serving() -> Iterator[FakeHub]:
    state = FakeHub()
    servers = []
    for is_store in (False, True):
        handler = type("BoundHandler", (Handler,), {"hub": state, "is_store": is_store})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
    state.url, state.store_url = (f"http://127.0.0.1:{server.server_port}" for server in servers)
    try:
        yield state
    finally:
        state.release.set()
        for server in servers:
            server.shutdown()
            server.server_close()


@pytest.fixture(name="no_settings_of_this_machine")
def no_settings_of_this_machine_fixture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "UNRENDER_CACHE"),
        *("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"),
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))


@pytest.fixture(name="server")
def server_fixture(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    with serving() as state:
        monkeypatch.setenv("HF_ENDPOINT", state.url)
        yield state


@pytest.fixture(name="hub")
def hub_fixture(tmp_path: Path, request: pytest.FixtureRequest) -> Hub:
    """A busy machine keeps a server waiting, which only the tests about waiting mind: their modules have PATIENCE."""
    return Hub(tmp_path / "cache", patience=getattr(request.module, "PATIENCE", 60.0))


@pytest.fixture(name="hasty")
def hasty_fixture(hub: Hub) -> Hub:
    """The same, for what is broken off again and again: it gives up after seconds, not minutes."""
    return Hub(hub.folder, patience=0.6)


class Recorder(Progress):
    """Remembers the bars, and cancels once it has seen enough bytes."""

    def __init__(self, cancel_after: int | None = None) -> None:
        self.label, self.total, self.unit, self.seen = "", None, "", 0
        self.threads: set[int] = set()
        self._cancel_after = cancel_after

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "") -> Iterator[Recorder]:
        self.label, self.total, self.unit = label, total, unit
        yield self

    def advance(self, amount: int = 1) -> None:
        self.threads.add(threading.get_ident())
        self.seen += amount
        self.check()

    def check(self) -> None:
        if self._cancel_after is not None and self.seen >= self._cancel_after:
            raise Cancelled("Stopped.")


def put_into_shared_cache(tmp_path: Path, files: dict[str, bytes], commit: str = COMMIT, repo: str = REPO) -> Path:
    """Writes files the way huggingface_hub does."""
    folder = tmp_path / "hf-home" / "hub" / f"models--{repo.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit
    for name, data in files.items():
        blob = folder / "blobs" / hashlib.sha256(data).hexdigest()
        for path in (blob, snapshot / name):
            path.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(data)
        (snapshot / name).symlink_to(os.path.relpath(blob, (snapshot / name).parent))
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(commit)
    return snapshot


def is_one_sentence(error: pytest.ExceptionInfo[ModelError]) -> bool:
    text = str(error.value)
    return text.endswith(".") and "\n" not in text and "Traceback" not in text and len(text) < 700
