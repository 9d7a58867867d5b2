"""A server at a real port, and what a browser, a stranger or a slow client sends to it, byte for byte."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from interrupts import heeding_interrupts


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def detail(self) -> str:
        return json.loads(self.body)["detail"]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def ask(port: int, request: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
    """request: method and path. headers: beside Host and what the body needs; "" takes one away."""
    given = {"Host": f"127.0.0.1:{port}", "Connection": "close", **({"Content-Length": str(len(body))} if body else {})}
    given.update(headers or {})
    lines = [f"{name}: {value}" for name, value in given.items() if value]
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall("\r\n".join([f"{request} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body)
        return answered(connection)


def answered(connection: socket.socket) -> Answer:
    """All that comes until the server closes, or has sent as much as it said it would."""
    data = b""
    while not _is_whole(data) and (piece := connection.recv(2**16)):
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    found = re.match(r"HTTP/1\.1 (\d+)", first)
    return Answer(int(found[1]) if found else 0, headers, body)


def _is_whole(data: bytes) -> bool:
    head, _, body = data.partition(b"\r\n\r\n")
    told = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return told is not None and len(body) >= int(told[1])


def seconds_until_closed(connection: socket.socket, longest: float) -> float:
    started = time.monotonic()
    connection.settimeout(longest)
    try:
        while connection.recv(2**16):
            pass
    except (TimeoutError, ConnectionResetError):
        pass
    return time.monotonic() - started


@contextmanager
def serving(app: Any, **options: Any) -> Iterator[int]:
    """Serves an ASGI application in a thread; gives the port."""
    import uvicorn

    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_level="error", **options))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield port
    finally:
        server.should_exit = server.force_exit = True
        thread.join(20)


class Command:
    """`unrender serve` or `unrender ui`, as a process of its own."""

    def __init__(self, name: str, base: Path, *options: str, token: str | None = None, launcher: str = "") -> None:
        self.port, self._log, self.uploads = free_port(), base / f"{name}.log", base / "uploads"
        asked = [name, "--clip", "micro", "--port", str(self.port), "--cache", str(base / "cache"), *options]
        environment = {name: value for name, value in os.environ.items() if name != "UNRENDER_TOKEN"}
        if token:
            environment["UNRENDER_TOKEN"] = token
        environment |= {"BROWSER": "true", "GRADIO_TEMP_DIR": str(self.uploads), "OMP_NUM_THREADS": "1"}
        start = ["-c", f"{launcher}\nfrom unrender.cli import main; raise SystemExit(main())"]
        with self._log.open("wb") as log, heeding_interrupts():
            self.process = subprocess.Popen(
                [sys.executable, "-W", "ignore", *start, *asked], env=environment, cwd=base, stdout=log, stderr=log
            )

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait(self) -> None:
        deadline = time.monotonic() + 180
        while not self._answers():
            assert self.process.poll() is None and time.monotonic() < deadline, self.log[-3000:]
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return "Ctrl-C stops" in self.log and ask(self.port, "HEAD /").status > 0
        except OSError:
            return False

    def seconds_to_stop(self, number: int = signal.SIGINT) -> float:
        started = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(60)
        return time.monotonic() - started

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@contextmanager
def running(name: str, base: Path, *options: str, **more: Any) -> Iterator[Command]:
    command = Command(name, base, *options, **more)
    try:
        command.wait()
        yield command
    finally:
        command.kill()
