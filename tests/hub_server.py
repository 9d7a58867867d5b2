"""A small server on the loopback that answers as a Hugging Face hub does, and the fixtures around it."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from unrender.core.errors import Cancelled, ModelError
from unrender.core.hub import Hub
from unrender.core.progress import Progress

COMMIT = "c0ffee" + "0" * 34
BRANCH_COMMIT = "babe" + "1" * 36
LARGE = bytes(range(256)) * (24 << 12)
REPO = "someone/some-model"


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
        self.status: dict[str, int] = {}
        self.break_after: list[int] = []
        self.ignores_ranges = False
        self.swapped: dict[str, bytes] = {}  # by name what is sent in a file's place, under its hash
        self.small_like_git = False
        self.hangs_on: str | None = None
        self.needs_token = ""
        self.slowness = 0.0
        self.requests: list[tuple[str, str, str]] = []
        self.sent: list[int] = []
        self.release = threading.Event()
        self.url = ""

    def asked(self, method: str, ending: str = "") -> list[tuple[str, str, str]]:
        return [asked for asked in self.requests if asked[0] == method and asked[1].endswith(ending)]


class Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(with_body=False)

    def do_GET(self) -> None:
        self.answer(with_body=True)

    def answer(self, with_body: bool) -> None:
        path = self.path.partition("?")[0]
        self.hub.requests.append((self.command, path, self.headers.get("Range", "")))
        if self.hub.hangs_on is not None and self.hub.hangs_on in f"{self.command} {path}":
            self.hub.release.wait(60)
            self.close_connection = True
            return
        for part, status in self.hub.status.items():
            if part in path:
                return self.refuse(status)
        token = self.headers.get("Authorization", "")
        if self.hub.needs_token and "/resolve/" in path and token != f"Bearer {self.hub.needs_token}":
            return self.refuse(401)
        if path.startswith("/api/models/"):
            return self.list_files(path)
        return self.serve(path, with_body)

    def refuse(self, status: int) -> None:
        body = b'{"error": "no"}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def files(self, repo: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        if revision in self.hub.branches or revision == BRANCH_COMMIT:
            name = next(iter(self.hub.branches)) if revision == BRANCH_COMMIT else revision
            return BRANCH_COMMIT, self.hub.branches[name]
        if repo in self.hub.repos and revision in ("main", COMMIT):
            return COMMIT, self.hub.repos[repo]
        return None

    def list_files(self, path: str) -> None:
        repo, _, revision = path.removeprefix("/api/models/").partition("/revision/")
        found = self.files(repo, revision.replace("%2F", "/") or "main")
        if found is None:
            return self.refuse(404)
        commit, files = found
        siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
        answer = {"_id": "1", "id": repo, "modelId": repo, "sha": commit, "siblings": siblings, "tags": []}
        body = json.dumps({**answer, "private": False, "downloads": 0, "likes": 0}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def hash_of(self, data: bytes) -> str:
        if self.hub.small_like_git and len(data) < 1000:
            return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        return hashlib.sha256(data).hexdigest()

    def serve(self, path: str, with_body: bool) -> None:
        repo, _, rest = path.lstrip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        found = self.files(repo, revision)
        if found is None or name not in found[1]:
            return self.refuse(404)
        data = found[1][name]
        start, stop = 0, len(data)
        wanted = self.headers.get("Range", "")
        partial = wanted.startswith("bytes=") and not self.hub.ignores_ranges
        if partial:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, stop = int(first), int(last) + 1 if last else len(data)
        self.send_response(206 if partial else 200)
        self.send_header("ETag", f'"{self.hash_of(data)}"')
        data = self.hub.swapped.get(name, data)
        self.send_header("X-Repo-Commit", found[0])
        self.send_header("Content-Length", str(stop - start))
        if partial:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        self.end_headers()
        if not with_body:
            return
        if stop - start > 1 and self.hub.break_after:
            stop = start + self.hub.break_after.pop(0)
            self.close_connection = True
        self.hub.sent.append(0)
        for at in range(start, stop, 1 << 20):
            try:
                self.wfile.write(data[at : min(at + (1 << 20), stop)])
            except (BrokenPipeError, ConnectionResetError):  # who asked wants no more
                self.close_connection = True
                return
            self.hub.sent[-1] = min(at + (1 << 20), stop) - start
            time.sleep(self.hub.slowness)


@contextmanager
def serving() -> Iterator[FakeHub]:
    state = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": state}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        state.release.set()
        server.shutdown()
        server.server_close()


@pytest.fixture(name="no_settings_of_this_machine")
def no_settings_of_this_machine_fixture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "UNRENDER_CACHE"),
        *("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_ENDPOINT"),
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


@pytest.fixture(name="no_waiting")
def no_waiting_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub sleeps before each of its own attempts."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


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
