"""Asks `unrender serve`, started on loopback as anyone would start it."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from .record import Record

_TOKEN = "only for this record"
_NONSENSE = (b"", b"{", b"[]", b'{"unheard": 1}')
_START = 120  # seconds that a start may take


class Reply(NamedTuple):
    status: int
    kind: str
    content: bytes


def ask(made: Record, lines: Sequence[str], options: Sequence[str]) -> None:
    """The lines, and of every route that the server itself lists what it says to nonsense and to strangers."""
    with _server(options) as address:
        document = json.loads(_request(f"{address}/openapi.json").content)
        made.helped("api: the document", json.dumps(document, indent=1).encode())
        for name, part in _parts(_wordless(document)):
            made.answer(f"api: the document | {name}", json.dumps(part, indent=1).encode())
        for number, line in enumerate(lines, 1):
            method, path, *sent = line.split(" ", 2)
            accept = "application/octet-stream" if method == "FILE" else "*/*"
            verb, body = "GET" if method == "GET" else "POST", _with_files("".join(sent)).encode()
            _note(made, f"api {number}: {line}", _request(address + path, verb, body, accept))
        for path, methods in document["paths"].items():
            if not any(line.split()[1] == path for line in lines):
                raise ValueError(f"No line of [api] asks for {path}; add one.")
            for method in map(str.upper, methods):
                name = f"api: {method} {path}"
                for body in _NONSENSE if method == "POST" else ():
                    _note(made, f"{name} {body.decode()}", _request(address + path, method, body))
                _note(made, f"{name} by a stranger", _request(address + path, method, token="another"))


@contextmanager
def _server(options: Sequence[str]) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "unrender", "serve", "--port", str(port), *options],
        env={**os.environ, "UNRENDER_TOKEN": _TOKEN},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + _START
    try:
        while not _answers(address):
            if process.poll() is not None or time.monotonic() > deadline:
                raise TimeoutError(f"`unrender serve` does not answer; run it with {' '.join(options)} and look.")
            time.sleep(0.2)
        yield address
    finally:
        process.kill()
        process.wait()


def _answers(address: str) -> bool:
    try:
        _request(address)
    except OSError:
        return False
    return True


def _request(address: str, method: str = "GET", body: bytes = b"", accept: str = "*/*", token: str = _TOKEN) -> Reply:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": accept}
    request = urllib.request.Request(address, body if method == "POST" else None, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return Reply(answer.status, answer.headers.get_content_type(), answer.read())
    except urllib.error.HTTPError as refusal:
        return Reply(refusal.code, refusal.headers.get_content_type(), refusal.read())


def _note(made: Record, name: str, reply: Reply) -> None:
    made.answer(f"{name} | status", f"{reply.status} {reply.kind}".encode())
    if reply.status >= 400:
        made.words(name, reply.content, reply.status)
    else:
        made.answer(f"{name} | answered", reply.content)


def _with_files(text: str) -> str:
    return re.sub(r"@([\w-]+\.\w+)", lambda name: base64.b64encode(Path(name[1]).read_bytes()).decode(), text)


def _parts(document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Routes and schemas by name, and the rest, so that a difference says where it is."""
    yield from document.pop("paths").items()
    yield from document["components"].pop("schemas").items()
    yield "the rest", document


def _wordless(value: Any) -> Any:
    """An OpenAPI document without its descriptions, which are help; a field of such a name stays."""
    if isinstance(value, dict):
        said = ("description", "summary")
        return {key: _wordless(each) for key, each in value.items() if key not in said or not isinstance(each, str)}
    return [_wordless(each) for each in value] if isinstance(value, list) else value
