"""Pixels in flight at the doors: of one request, of all together, of a page's, and of a graph's batch."""

import base64
import gc
import io
import threading
import time
import weakref
from dataclasses import replace

import pytest
from comfyui_graphs import INTERROGATE
from image_files import encoded
from nodes_setting import micro_setup, models_fixture, server_fixture  # noqa: F401
from PIL import Image
from unrender.core.errors import Cancelled, ImageError
from unrender.core.images import reading
from unrender.core.settings import Settings
from unrender.server.choices import Request, Study
from unrender.server.embeddings import EmbeddingRequest, Weighted, embedded
from unrender.server.host import Host, alone
from unrender.server.jobs import Job
from unrender.server.line import LineIsFull
from unrender.server.pixels import MOST_OF_ALL, MOST_OF_ONE, Pixels
from unrender.server.work import analysis, interrogation, location, matched

MICRO = Settings(clip="micro", captioner="micro", device="cpu", precision="exact")
SIDE = 100
PIXELS = SIDE * SIDE


def picture(number: int = 0) -> bytes:
    return encoded(Image.new("RGB", (SIDE, SIDE), (number, 90, 30)), "PNG")


def in_text(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Counted:
    """Counts the pictures that one of the reader's functions made and that are there at a time."""

    def __init__(self, monkeypatch, name: str) -> None:
        self.now, self.most, self._lock, real = 0, 0, threading.Lock(), getattr(reading, name)

        def finish(*values):
            image = real(*values)
            with self._lock:
                self.now += 1
                self.most = max(self.most, self.now)
            weakref.finalize(image, self._gone)
            return image

        monkeypatch.setattr(reading, name, finish)

    def _gone(self) -> None:
        with self._lock:
            self.now -= 1


@pytest.fixture
def decoded(monkeypatch):
    gc.collect()
    return Counted(monkeypatch, "_decode")


@pytest.fixture
def copied(monkeypatch):
    return Counted(monkeypatch, "_finish")


def host(of_all: int = MOST_OF_ALL, of_one: int = MOST_OF_ONE, requests: int = 17, **changed) -> Host:
    return replace(alone(MICRO), pixels=Pixels(of_all, of_one, requests), **changed)


@pytest.fixture
def client_of():
    pytest.importorskip("fastapi", reason="pip install fastapi httpx uvicorn")
    pytest.importorskip("httpx", reason="pip install httpx")
    from fastapi import FastAPI
    from fastapi.testclient import TestClient
    from unrender.server.api import router

    def client(host: Host):
        app = FastAPI()
        app.include_router(router(host))
        return TestClient(app, raise_server_exceptions=False)

    return client


# --- the API


def test_a_request_of_too_many_pixels_is_refused_in_a_sentence(client_of, decoded):
    client = client_of(host(of_one=3 * PIXELS))
    several = {"images": [in_text(picture(number)) for number in range(4)], "phrases": ["a", "b"]}
    answer = client.post("/unrender/v1/match", json=several)
    assert answer.status_code == 422
    assert answer.json() == {"detail": "The pictures have too many pixels together; give fewer or smaller ones."}
    assert client.post("/unrender/v1/embed", json={"images": several["images"], "family": "micro"}).status_code == 422
    assert decoded.most == 3
    answer = client.post("/unrender/v1/match", json={**several, "images": several["images"][:3]})
    assert answer.status_code == 200, "what the refused ones took is there again"


def test_requests_together_never_hold_more_than_the_budget(client_of, decoded, monkeypatch):
    from unrender.core.engine import Engine

    client, lock, statuses, real = client_of(host(of_all=2 * PIXELS)), threading.Event(), [], Engine.interrogate
    monkeypatch.setattr(Engine, "interrogate", lambda *values: lock.wait(20) and real(*values))

    def ask(number: int) -> None:
        sent = {"image": in_text(picture(number)), "mode": "fast"}
        statuses.append(client.post("/unrender/v1/interrogate", json=sent).status_code)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: decoded.now == 2)
    time.sleep(0.3)
    assert decoded.now == 2
    lock.set()
    for thread in threads:
        thread.join(20)
    assert statuses == [200] * 8
    assert decoded.most <= 3  # and the oldest, which never waits


def test_who_waits_for_room_is_few_and_keeps_no_status_waiting(client_of, monkeypatch):
    from unrender.core.engine import Engine

    client, lock, found, real = client_of(host(of_all=1, requests=3)), threading.Event(), [], Engine.analyze
    monkeypatch.setattr(Engine, "analyze", lambda *values: lock.wait(20) and real(*values))

    def ask(number: int) -> None:
        found.append(client.post("/unrender/v1/analyze", json={"image": in_text(picture(number))}))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(60)]
    for thread in threads:
        thread.start()
    until(lambda: len(found) == 57)
    assert {answer.status_code for answer in found} == {503}
    assert all(int(answer.headers["Retry-After"]) > 0 and "ask again" in answer.text for answer in found)
    started = time.monotonic()
    assert client.get("/unrender/v1/status").status_code == 200
    assert time.monotonic() - started < 2
    lock.set()
    for thread in threads:
        thread.join(20)
    assert sorted(answer.status_code for answer in found)[:3] == [200] * 3


def until(true, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- the page

WAYS = {
    "prompt": lambda host, data: interrogation(host, Request(data, "fast", "micro", "micro"), Job()),
    "analyze": lambda host, data: analysis(host, Study(data, "micro"), ["mediums"], False, Job()),
    "match": lambda host, data: matched(host, Study(data, "micro"), "a\nb", "", Job()),
    "locate": lambda host, data: location(host, Study(data, "micro"), "a", Job()),
    "embed": lambda host, data: embedded(host, EmbeddingRequest([Weighted(data, 1.0)], "micro", "quick"), Job()),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("given", [bytes, Image.open], ids=["a file", "a host's picture"])
def test_what_the_page_asks_has_the_same_limits(way, given):
    data = picture() if given is bytes else Image.open(io.BytesIO(picture()))
    with pytest.raises(ImageError, match="too many pixels"):
        WAYS[way](host(of_one=PIXELS - 1), data)
    with pytest.raises(LineIsFull):
        WAYS[way](host(requests=0), data)


def test_what_the_page_asks_waits_for_the_apis(decoded, monkeypatch):
    asked = host(of_all=PIXELS)
    with asked.pixels.held(Job()) as opening:
        kept = opening(picture())
        stopped = Job()

        def ask() -> None:
            try:
                matched(asked, Study(picture(), "micro"), "a\nb", "", stopped)
            except Exception as error:  # noqa: BLE001
                told.append(error)

        told: list[Exception] = []
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join(0.3)
        assert thread.is_alive() and decoded.now == 1
        stopped.stop()
        thread.join(5)
        assert not thread.is_alive() and decoded.most == 1
        assert [type(error) for error in told] == [Cancelled]
    del kept


def test_an_embedding_keeps_no_picture_between_two_clicks(decoded):
    made = embedded(
        host(), EmbeddingRequest([Weighted(picture(1), 1.0), Weighted(picture(2), 0.5)], "micro", "quick"), Job()
    )
    gc.collect()
    assert decoded.most >= 2 and decoded.now == 0 and made.shared is not None


# --- pictures of a graph


@pytest.fixture
def frames():
    torch = pytest.importorskip("torch")
    return torch.rand(12, 64, 64, 3)


@pytest.mark.parametrize("node", ["Interrogate", "Analyze", "MatchPhrases", "Locate"])
def test_a_graphs_batch_is_copied_picture_by_picture(node, frames, models, server, copied):
    from unrender.nodes import interrogate, study

    setup = micro_setup()
    if node == "Interrogate":
        words = {name: [value] for name, value in {**INTERROGATE, "mode": "fast", "max_phrases": 1}.items()}
        found = interrogate.Interrogate.execute(image=[frames], **words, interrogator=[setup]).args
    elif node == "Analyze":
        found = study.Analyze.execute(frames, "mediums", 1, False, setup).args
    elif node == "MatchPhrases":
        found = study.MatchPhrases.execute(frames, "a\nb", "", setup).args
    else:
        found = study.Locate.execute(frames, "a", 0.5, setup).args
    assert len(found[0]) == len(frames)
    assert copied.most <= 4
