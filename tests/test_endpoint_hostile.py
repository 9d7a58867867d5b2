"""A server that misbehaves in any way gets a sentence, in time."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
from chat_server import (
    Answer,
    Asked,
    ChatServer,
    Handler,
    cut_off,
    drips,
    endless,
    events,
    piece,
    says,
    silent,
    whole,
    writes,
)
from PIL import Image
from unrender.core.describe import load_describer
from unrender.core.describe.endpoint.endpoint import endpoint_models
from unrender.core.errors import ModelError
from unrender.core.settings import CaptionSettings, EndpointSettings

pytest.importorskip("openai", reason="the library that asks servers is not installed (extra endpoint)")
pytest_plugins = ["chat_fixtures"]
PICTURE = Image.new("RGB", (32, 32), "red")
SOON = CaptionSettings(endpoint=EndpointSettings(timeout=0.3, retries=1))


def packed(handler: Handler, asked: Asked) -> None:
    handler.send_whole(200, b"\x1f\x8b", Content_Encoding="gzip")


def wrong_length(handler: Handler, asked: Asked) -> None:
    handler.begin(200, "application/json", **{"Content-Length": "5000"})
    handler.wfile.write(b'{"choices": []')
    handler.close_connection = True


def no_http(handler: Handler, asked: Asked) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n")
    handler.close_connection = True


def closes(handler: Handler, asked: Asked) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def endless_error(handler: Handler, asked: Asked) -> None:
    handler.begin(400, "text/plain")
    while True:
        handler.wfile.write(b"no! " * 10_000)


def endless_head(handler: Handler, asked: Asked) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    while True:
        handler.wfile.write(b"x" * 65536)


def many_events(handler: Handler, asked: Asked) -> None:
    handler.begin(200, "text/event-stream")
    while True:
        handler.wfile.write(b"data: " + b'{"choices": [{"delta": {"content": "more "}}]}\n\n' * 1000)


HOSTILE: dict[str, tuple[Answer, str]] = {
    "silent": (silent, "it sent nothing for 0 seconds|it was not done after 3 seconds"),
    "drips": (drips, "it was not done after 3 seconds"),
    "cut off": (cut_off, "the connection broke"),
    "closes": (closes, "the connection broke"),
    "no HTTP": (no_http, "describe the picture: .+"),
    "wrong length": (wrong_length, "the connection broke"),
    "endless line": (endless, "an event that never ends"),
    "endless events": (many_events, "more than 100,000 letters|more than 32 MiB"),
    "endless blanks": (lambda handler, asked: endless(handler, asked, b" " * 65536), "more than 32 MiB"),
    "endless error": (endless_error, 'it answered 400, in its words: "no! no!'),
    "endless head": (endless_head, "describe the picture: .+"),
    "packed": (packed, "its answer is packed"),
    "not JSON": (says(b"{hello"), "its answer is no JSON"),
    "no UTF-8": (says(b'{"a": "\xff"}'), "its answer is no JSON"),
    "deep": (says(b'{"choices":' + b"[" * 100_000), "its answer is no JSON"),
    "a page": (says(b"<!doctype html><p>Log in", kind="text/html"), "a page to be read"),
    "a page of an error": (says(b"<html>Bad <b>gateway</b></html>", 502, "text/html"), "it answered 502[.;]"),
    "a list": (says([]), "its answer is no JSON"),
    "no choices": (says({"object": "error"}), "its answer has no choices"),
    "choices of another kind": (says({"choices": {"0": 1}}), "its answer has no choices"),
    "a choice of another kind": (says({"choices": [7]}), "its answer has no choices"),
    "a message of another kind": (says({"choices": [{"message": [1]}]}), "its answer holds no message"),
    "a number for words": (whole(7), "a message that is no text"),
    "no words": (whole(""), "the model wrote nothing"),
    "blanks": (writes("  \u200b "), "the model wrote nothing"),
    "thoughts alone": (writes("<think>hm", end="length"), "thought, and wrote nothing; give more as max_length"),
    "held back": (writes("", end="content_filter"), "its filter held the answer back"),
    "refused": (events(piece(refusal="I cannot.", end="stop")), 'the model refused, in its words: "I cannot"'),
    "an error inside": (says({"error": "Unexpected endpoint or method."}), 'it failed, in its words: "Unexpected'),
    "an error in a stream": (events(piece("A"), {"error": {"message": "out of memory"}}), '"out of memory"'),
    "an unfinished stream": (events(piece("A red")), "the answer was cut off"),
    "nothing": (says(b""), "it sent nothing"),
    "no content": (lambda handler, asked: handler.begin(204, "text/plain"), "describe the picture: .+"),
    "signs that steer": (says({"error": {"message": "a\x1b[2J\u202eb\r\nc"}}, 500), r'500, in its words: "a\[2Jb c"'),
    "long words": (says({"error": {"message": "x" * 10**6}}, 500), "it answered 500"),
    "detail": (says({"detail": [{"loc": ["body"], "msg": "too many"}]}, 422), '422, in its words: "too many"'),
    "too large": (says({}, 413), "it answered 413; give less as longest_side"),
    "no such thing": (says({}, 404), "it answered 404"),
    "teapot": (says({}, 418), "it answered 418"),
    "another host": (says({}, 307, Location="http://evil.example/v1"), "to another address, http://evil.example"),
    "another port": (says({}, 308, Location="http://127.0.0.1:1/v1"), "to another address, http://127.0.0.1:1"),
    "another scheme": (says({}, 301, Location="https://127.0.0.1/v1"), "to another address, https://127.0.0.1"),
    "another path": (says({}, 308, Location="/v2/chat"), "as it wants to be asked at /v2/chat"),
    "nowhere": (says({}, 302), "it answered 302, and nothing else"),
    "a place that is none": (says({}, 302, Location="http://[::1"), "it answered 302"),
    "a file": (says({}, 302, Location="file:///etc/passwd"), "to another address, file://"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_whatever_a_server_does_there_is_a_sentence_in_time(chat_server: ChatServer, kind: str) -> None:
    answer, said = HOSTILE[kind]
    chat_server.answers = [answer]
    started = time.monotonic()
    with pytest.raises(ModelError, match=said) as refused:
        load_describer(chat_server.name).caption([PICTURE], SOON)
    assert time.monotonic() - started < 8
    text = str(refused.value)
    assert text.startswith(chat_server.base) and text.endswith(".")
    assert len(text) < 500 and text.isprintable()
    assert len(chat_server.chats) <= 2


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ([7, None, "", {"a": 1}, "one"], ["one"]),
        (["a\x1b[2J\u202eb"], ["a\x1b[2J\u202eb"]),
    ],
)
def test_an_absurd_list_of_models(chat_server: ChatServer, ids: list[Any], found: list[str]) -> None:
    chat_server.models = ids
    assert endpoint_models(chat_server.base) == found


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["a\x1b[2J\u202eb", "c"], r"#a\[2Jb or"),
        (["x" * 10_000] * 2, "has 2 models"),
        ([str(number) for number in range(100_000)], "has 100000 models"),
        (["x" * 1000] * 20_000, "never ends"),
    ],
)
def test_an_absurd_list_is_shown_within_limits(chat_server: ChatServer, ids: list[str], said: str) -> None:
    chat_server.models = ids
    with pytest.raises(ModelError, match=said) as refused:
        load_describer(chat_server.base)
    assert str(refused.value).isprintable() and len(str(refused.value)) < 2500


def test_no_server_is_told_soon() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        name = f"http://127.0.0.1:{free.getsockname()[1]}/v1#m"
        started = time.monotonic()
        with pytest.raises(ModelError, match="the connection was refused; start the server"):
            load_describer(name).caption([PICTURE])
        assert time.monotonic() - started < 3
