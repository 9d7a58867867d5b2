"""Clients that send too much, too slowly, to no purpose, or leave: what `serve` takes in, and how it ends."""

from __future__ import annotations

import base64
import json
import signal
import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="pip install fastapi uvicorn")
pytest.importorskip("uvicorn", reason="pip install uvicorn")

from door_server import Answer, answered, ask, running, seconds_until_closed, serving
from fastapi import FastAPI
from unrender.core.errors import Cancelled
from unrender.core.settings import Settings
from unrender.server import api, line, patience
from unrender.server.bodies import Bodies
from unrender.server.gate import Gate
from unrender.server.host import Host, alone
from unrender.server.line import Line
from unrender.server.origins import Names

JSON = {"Content-Type": "application/json"}
ROUTE = "POST /unrender/v1/analyze"
MICRO = Settings(clip="micro", captioner="micro", device="cpu")
MIB = 2**20


def application(host: Host, guard=None) -> Gate:
    app = FastAPI()
    app.include_router(api.router(host, guard))
    return Gate(app, Names("127.0.0.1"))


@pytest.fixture(scope="module")
def image(photographs) -> str:
    from test_api import encoded

    return encoded(photographs[0].resize((64, 64)))


# --- refused before it is read


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    with running("serve", tmp_path_factory.mktemp("serve"), token="secret") as command:
        yield command


def resident(process: int) -> int:
    """Bytes, at the highest so far."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(text.split()[1]) * 1024 for text in lines if text.startswith("VmHWM"))


def test_without_the_token_nothing_is_taken_in(guarded):
    before = resident(guarded.process.pid)
    body = b'{"image": "' + b"A" * (63 * MIB) + b'"}'
    found: list[Answer] = []
    clients = [threading.Thread(target=lambda: found.append(ask(guarded.port, ROUTE, JSON, body))) for _ in range(12)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(60)
    assert [answer.status for answer in found] == [401] * 12
    assert {answer.headers["www-authenticate"] for answer in found} == {"Bearer"}
    assert resident(guarded.process.pid) - before < 40 * MIB


def test_the_token_is_asked_for_before_a_body_comes(guarded):
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=20) as stalled:
        head = f"{ROUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
        stalled.sendall(head.encode())
        started = time.monotonic()
        assert answered(stalled).status == 401
        assert time.monotonic() - started < 5


@pytest.mark.parametrize("length", ["99999999999", str(64 * MIB + 1)])
def test_a_length_too_great_is_refused_at_once(guarded, length):
    head = f"{ROUTE} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer secret\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection(("127.0.0.1", guarded.port), timeout=20) as client:
        client.sendall(head.encode())
        answer = answered(client)
    assert answer.status == 413 and "64 MiB" in answer.detail


# --- bounded in bytes and time


def limited(monkeypatch, host: Host | None = None, **bounds) -> Gate:
    monkeypatch.setattr(api, "Bodies", lambda: Bodies(**bounds))
    return application(host or alone(MICRO))


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


HEAD = f"{ROUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_pieces_without_a_length_are_counted(monkeypatch):
    from unrender.server import api_route

    monkeypatch.setattr(api_route, "MOST_BYTES", MIB)
    with serving(limited(monkeypatch)) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(HEAD.encode() + chunk(b"A" * (2**19)))
        client.sendall(chunk(b"A" * (2**19 + 1)))
        answer = answered(client)
    assert answer.status == 413 and "1 MiB" in answer.detail


def test_a_stalled_and_an_endless_body_are_given_up(monkeypatch):
    with serving(limited(monkeypatch, pause=0.3, longest=1.0)) as port:
        for between in (30.0, 0.1):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                client.sendall(HEAD.encode() + chunk(b'{"image": "'))
                started, found = time.monotonic(), b""
                client.settimeout(between)
                while not found and time.monotonic() - started < 10:
                    try:
                        found = client.recv(2**16)
                    except TimeoutError:
                        client.sendall(chunk(b"A"))
                assert found.startswith(b"HTTP/1.1 408 "), found
                assert time.monotonic() - started < 5


def test_all_bodies_together_are_bounded(monkeypatch):
    with serving(limited(monkeypatch, together=MIB)) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as first:
            first.sendall(HEAD.encode() + chunk(b"A" * (3 * 2**18)))
            time.sleep(0.5)
            answer = ask(port, ROUTE, JSON, b"B" * (2**19))
            assert answer.status == 503 and int(answer.headers["retry-after"]) > 0
            assert ask(port, ROUTE, JSON, b"B" * 2**10).status == 422
        time.sleep(0.5)
        assert ask(port, ROUTE, JSON, b"B" * (2**19)).status == 422, "who has left holds nothing"


def test_headers_have_to_come_in_time(monkeypatch):
    monkeypatch.setattr(patience.Patience, "seconds", 0.5)
    with serving(application(alone(MICRO)), http=patience.Patience) as port:
        for sent in (b"", b"GET / HTT", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "):
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(sent)
                assert seconds_until_closed(client, 20) < 5
        with socket.create_connection(("127.0.0.1", port)) as client:  # the second request of a connection
            client.sendall(b"GET /unrender/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            client.recv(2**16)
            client.sendall(b"GET /unrender")
            assert seconds_until_closed(client, 20) < 4, "sooner than an idle one is closed"
        assert ask(port, "GET /unrender/v1/status").status == 200


# --- the line


class Busy:
    """Work that goes on until it is let go, or told to stop."""

    def __init__(self) -> None:
        self.begun, self.stopped, self.go_on = 0, 0, threading.Event()

    def __call__(self, engine, *_, **__):
        self.begun += 1
        try:
            while not self.go_on.wait(0.02):
                engine.progress.check()
        except Cancelled:
            self.stopped += 1
            raise
        raise MemoryError


@pytest.fixture
def busy(monkeypatch):
    from unrender.core.engine import Engine

    work = Busy()
    monkeypatch.setattr(Engine, "analyze", lambda self, *values: work(self, *values))
    yield work
    work.go_on.set()


def asked(image: str) -> bytes:
    return json.dumps({"image": image}).encode()


def sent(port: int, body: bytes) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    head = f"{ROUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return client


def until(true, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_line_has_an_end_and_the_status_never_waits(busy, image):
    host = replace(alone(MICRO), line=Line(3))
    with serving(application(host)) as port:
        clients = [sent(port, asked(image)) for _ in range(4)]
        until(lambda: len(host.line._places) == 4)
        started = time.monotonic()
        answer = ask(port, ROUTE, JSON, asked(image))
        assert answer.status == 503 and int(answer.headers["retry-after"]) > 0 and "wait already" in answer.detail
        assert ask(port, "POST /unrender/v1/unload").status == 503
        assert ask(port, "GET /unrender/v1/status").status == 200
        assert time.monotonic() - started < 3
        assert busy.begun == 1
        busy.go_on.set()
        for client in clients:
            assert client.recv(2**16).startswith(b"HTTP/1.1 503")
        assert ask(port, "POST /unrender/v1/unload").status == 200


def test_what_a_client_asked_ends_when_it_leaves(busy, image):
    host = alone(MICRO)
    with serving(application(host)) as port:
        running = sent(port, asked(image))
        until(lambda: busy.begun == 1)
        waiting = sent(port, asked(image))
        until(lambda: len(host.line._places) == 2)
        waiting.close()
        until(lambda: len(host.line._places) == 1, 5)
        running.close()
        until(lambda: busy.stopped == 1, 5)
        until(lambda: not host.line._places, 5)
        assert busy.begun == 1, "nothing is begun for whoever has left"


def test_the_line_keeps_its_order():
    waiting, order = Line(9), []

    def take(number: int) -> None:
        with waiting.turn(alone(MICRO).job()):
            order.append(number)

    with waiting.turn(alone(MICRO).job()):
        threads = []
        for number in range(5):
            threads.append(threading.Thread(target=take, args=(number,)))
            threads[-1].start()
            until(lambda number=number: len(waiting._places) == number + 2)
    for thread in threads:
        thread.join(10)
    assert order == [*range(5)]
    assert line.LONGEST >= 8


SLOW = """
import time
from unrender.core.engine import Engine
def analyze(self, *values, **options):
    if {deaf}:
        time.sleep(100)
    while True:
        time.sleep(0.02)
        self.progress.check()
Engine.analyze = analyze
"""


@pytest.mark.parametrize("deaf", [False, True], ids=["that listens", "that does not listen"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_serve_stops_within_five_seconds_whatever_waits(tmp_path, image, deaf, number):
    with running("serve", tmp_path, launcher=SLOW.format(deaf=deaf)) as command:
        clients = [sent(command.port, asked(image)) for _ in range(12)]
        stalled = [socket.create_connection(("127.0.0.1", command.port)) for _ in range(3)]
        stalled[1].sendall(b"GET / HT")
        stalled[2].sendall(HEAD.encode() + chunk(b"{"))
        time.sleep(2)
        assert command.seconds_to_stop(number) < 5
        assert "Traceback" not in command.log
        for client in (*clients, *stalled):
            client.close()


@pytest.mark.full
def test_twelve_large_posts_of_friends_are_bounded(guarded):
    headers = {**JSON, "Authorization": "Bearer secret"}
    assert ask(guarded.port, ROUTE, headers, b'{"image": "AAAA"}').status == 422  # by now all is imported
    before = resident(guarded.process.pid)
    body = b'{"image": "' + base64.b64encode(b"A" * (47 * MIB)) + b'"}'
    found: list[int] = []
    clients = [
        threading.Thread(target=lambda: found.append(ask(guarded.port, ROUTE, headers, body).status)) for _ in range(12)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join(120)
    assert set(found) <= {422, 503} and 422 in found
    assert resident(guarded.process.pid) - before < 1200 * MIB


@pytest.mark.parametrize("field", ["x", "categories", "limits"])
@pytest.mark.parametrize("part", ["[]", "{}", '"a"', "1", '"a":1'])
def test_a_body_of_many_parts_is_refused_before_it_is_taken_apart(limited_body, image, field, part):
    many = ",".join([part] * (8 * MIB // (len(part) + 1)))
    for first, last in ("[]", "{}"):
        body = f'{{"image": "{image}", "{field}": {first}{many}{last}}}'.encode()
        started = time.process_time()
        status, told = limited_body(body)
        assert (status, "more than 100,000 parts" in told) == (413, True)
        assert time.process_time() - started < 0.5


def test_a_body_of_one_part_too_many_in_a_text_is_as_good(limited_body, image):
    """Pictures have none of the marks that are counted, and phrases few."""
    body = json.dumps({"image": image, "exclude": ["a"] * 3, "x": ", " * 99_000}).encode()
    assert limited_body(body) == (422, '{"detail":"The request does not fit: x: is no field here."}')


@pytest.fixture(scope="module")
def limited_body():
    from fastapi.testclient import TestClient

    client = TestClient(application(alone(MICRO)), base_url="http://localhost", raise_server_exceptions=False)

    def send(body: bytes) -> tuple[int, str]:
        answer = client.post("/unrender/v1/interrogate", content=body, headers=JSON)
        return answer.status_code, answer.text

    return send
