"""A small server on the loopback that speaks OpenAI's chat completions, or misbehaves as it is told.

As seen in the documentation of Ollama, vLLM and llama.cpp, and in what `transformers serve` sends.
"""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

MODEL = "someone/tiny-vl:2b"
WORDS = "A red circle on a blue ground."


@dataclass
class Asked:
    """A request as the server got it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return next(part["text"] for part in self.json["messages"][-1]["content"] if part["type"] == "text")

    @property
    def picture(self) -> Image.Image:
        content = self.json["messages"][-1]["content"]
        url = next(part["image_url"]["url"] for part in content if part["type"] == "image_url")
        head, _, data = url.partition(",")
        assert head == "data:image/jpeg;base64", head
        return Image.open(io.BytesIO(base64.b64decode(data)))


Answer = Callable[["Handler", Asked], None]


@dataclass
class ChatServer:
    """answers: what is done with requests to chat, the last of them with all that follow. models: what is listed."""

    models: list[Any] = field(default_factory=lambda: [MODEL])
    answers: list[Answer] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    root: str = "/v1"
    port: int = 0
    left: threading.Event = field(default_factory=threading.Event)
    """Set when a client went away while something was written to it."""

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.root}"

    @property
    def name(self) -> str:
        return f"{self.base}#{MODEL}"

    @property
    def chats(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.path.endswith("/chat/completions")]

    def answer(self, handler: Handler, asked: Asked) -> None:
        if asked.path == f"{self.root}/models":
            handler.send_json({"object": "list", "data": [{"id": each, "object": "model"} for each in self.models]})
        elif asked.path == f"{self.root}/chat/completions":
            doing = (self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]) if self.answers else writes()
            doing(handler, asked)
        elif asked.path == "/api/generate":
            handler.send_json({"done": True})
        else:
            handler.send_whole(404, b"404 page not found", "text/plain")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    chat: ChatServer

    def do_GET(self) -> None:
        self._do()

    def do_POST(self) -> None:
        self._do()

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = Asked(self.command, self.path, dict(self.headers.items()), body)
        self.chat.asked.append(asked)
        try:
            self.chat.answer(self, asked)
        except (ConnectionError, TimeoutError):
            self.chat.left.set()
            self.close_connection = True

    def send_whole(self, status: int, body: bytes, kind: str = "application/json", **headers: str) -> None:
        self.begin(status, kind, **{"Content-Length": str(len(body)), **headers})
        self.wfile.write(body)

    def send_json(self, value: Any, status: int = 200, **headers: str) -> None:
        self.send_whole(status, json.dumps(value).encode(), **headers)

    def begin(self, status: int, kind: str, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if "Content-Length" not in headers:
            self.send_header("Connection", "close")
            self.close_connection = True
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def event(self, value: Any) -> None:
        self.wfile.write(b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n")
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        pass


def piece(text: str | None = None, end: str | None = None, **delta: Any) -> dict[str, Any]:
    found = {**({} if text is None else {"content": text}), **delta}
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": found, "finish_reason": end}]}


def writes(text: str = WORDS, end: str = "stop", **delta: Any) -> Answer:
    """In pieces, as all these servers do where they are asked to."""

    def answer(handler: Handler, asked: Asked) -> None:
        assert asked.json["stream"] is True
        handler.begin(200, "text/event-stream; charset=utf-8")
        handler.event(piece("", role="assistant", **delta))
        for word in text.split(" "):
            handler.event(piece(f"{word} "))
        handler.event(piece(end=end))
        handler.event({"choices": [], "usage": {"total_tokens": 7}})
        handler.event(b"[DONE]")

    return answer


def whole(text: Any = WORDS, end: str = "stop") -> Answer:
    """At once, as a server that does not know of streams."""
    message = {"role": "assistant", "content": text}
    return says({"choices": [{"index": 0, "message": message, "finish_reason": end}], "usage": {}})


def says(value: Any, status: int = 200, kind: str = "application/json", **headers: str) -> Answer:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return lambda handler, asked: handler.send_whole(status, body, kind, **headers)


def events(*values: Any) -> Answer:
    def answer(handler: Handler, asked: Asked) -> None:
        handler.begin(200, "text/event-stream")
        for value in values:
            handler.event(value)

    return answer


def silent(handler: Handler, asked: Asked) -> None:
    """No byte, until the client leaves."""
    handler.connection.settimeout(20)
    with suppress(TimeoutError):
        if not handler.connection.recv(1):
            handler.chat.left.set()
    handler.close_connection = True


def drips(handler: Handler, asked: Asked) -> None:
    """A byte now and then, without end."""
    handler.begin(200, "text/event-stream")
    for _ in range(1000):
        handler.wfile.write(b":")
        handler.wfile.flush()
        time.sleep(0.05)


def cut_off(handler: Handler, asked: Asked) -> None:
    handler.begin(200, "text/event-stream", **{"Content-Length": "100000"})
    handler.event(piece("A red "))
    handler.close_connection = True


def endless(handler: Handler, asked: Asked, of: bytes = b"data: " + b"x" * 65536) -> None:
    handler.begin(200, "text/event-stream")
    while True:
        handler.wfile.write(of)


@contextmanager
def chat_serving(server: ChatServer) -> Iterator[ChatServer]:
    handler = type("Handler", (Handler,), {"chat": server})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        http.daemon_threads = True
        http.block_on_close = False
        server.port = http.server_address[1]
        threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server
        finally:
            http.shutdown()
