"""The API over HTTP, on the micro model."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import nullcontext
from dataclasses import replace

import pytest
from PIL import Image
from unrender.core.embed.blend import Blend
from unrender.core.embed.embedding import PromptEmbedding
from unrender.core.engine import Engine
from unrender.core.errors import ModelError
from unrender.core.settings import Settings

pytest.importorskip("fastapi", reason="pip install fastapi httpx uvicorn")
pytest.importorskip("httpx", reason="pip install httpx")

from fastapi import FastAPI
from fastapi.testclient import TestClient
from unrender.cli.serve import application
from unrender.server import api_route
from unrender.server.api import router
from unrender.server.api_route import login_guard, logins_in
from unrender.server.choices import Preferences
from unrender.server.host import Host
from unrender.server.models import Models

OWN = "/unrender/v1"
MICRO = Settings(clip="micro", captioner="micro", device="cpu", precision="exact")


def host(models: Models | None = None, settings: Settings = MICRO, **changed) -> Host:
    usual = Host(
        models or Models(),
        lambda: settings,
        Preferences,
        lambda job: nullcontext(),
        lambda needed: nullcontext(),
        lambda: False,
    )
    return replace(usual, **changed)


def client_of(host: Host, guard=None) -> TestClient:
    app = FastAPI()
    app.include_router(router(host, guard))
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client():
    return client_of(host())


@pytest.fixture(scope="module")
def engine():
    with Engine(MICRO) as engine:
        yield engine


@pytest.fixture(scope="module")
def picture(photographs) -> Image.Image:
    return photographs[0].resize((96, 96))


@pytest.fixture(scope="module")
def image(picture) -> str:
    return encoded(picture)


def encoded(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def post(client, path: str, value):
    """Also what the client's own JSON would refuse to write."""
    return client.post(path, content=json.dumps(value).encode(), headers={"Content-Type": "application/json"})


def refused(answer) -> str:
    """The sentence of a refusal, which holds nothing else."""
    assert 400 <= answer.status_code < 500, answer.text
    assert list(answer.json()) == ["detail"]
    sentence = answer.json()["detail"]
    assert sentence.endswith(".") and len(sentence) < 500
    return sentence


# --- the peer's routes


def test_the_peers_clients_get_its_answers(client, engine, picture, image):
    prompts = {}
    for mode in ("best", "fast", "classic", "negative"):
        asked = {"image": image, "clip_model_name": "micro", "mode": mode}
        answer = client.post("/interrogator/prompt", json=asked)
        assert answer.status_code == 200
        prompts[mode] = answer.json()
    assert prompts == {mode: {"prompt": engine.interrogate(picture, mode).prompt} for mode in prompts}
    usual = client.post("/interrogator/prompt", json={"image": f"data:image/png;base64,{image}", "more": 1})
    assert usual.json() == prompts["fast"]

    real = client_of(host(settings=replace(MICRO, clip="ViT-L-14/openai", captioner="blip-large")))  # not to be had
    chosen = real.post("/interrogator/prompt", json={"image": image, "clip_model_name": "micro"})
    assert chosen.json() == prompts["fast"], "these routes have no captioner that could be sent"

    analysis = client.post("/interrogator/analyze", json={"image": image}).json()
    assert list(analysis) == ["medium", "artist", "movement", "trending", "flavor"]
    assert len(analysis["flavor"]) == 5
    expected = engine.analyze(picture, ["flavors"])[0]["flavors"].top
    assert list(analysis["flavor"].items()) == [(each.phrase, pytest.approx(each.similarity)) for each in expected]

    names = client.get("/interrogator/models").json()
    import open_clip

    assert {"/".join(known) for known in open_clip.list_pretrained()} | {"micro"} == set(names)


# --- this program's own


def test_interrogate_answers_what_the_engine_finds(client, engine, picture, image):
    found = client.post(f"{OWN}/interrogate", json={"image": image, "mode": "best"}).json()
    expected = engine.interrogate(picture, "best").to_dict()
    assert {**found, "seconds": 0} == {**expected, "seconds": 0, "remark": ""}
    given = {"image": image, "mode": "fast", "caption": "a drawing", "limits": {"flavors": 1, "artists": 0}}
    limited = client.post(f"{OWN}/interrogate", json=given).json()
    kinds = [phrase["category"] for phrase in limited["phrases"]]
    assert limited["caption"] == "a drawing" and kinds.count("flavors") == 1 and "artists" not in kinds
    flavor = next(phrase["text"] for phrase in limited["phrases"] if phrase["category"] == "flavors")
    other = client.post(f"{OWN}/interrogate", json={**given, "exclude": [flavor]}).json()
    assert flavor not in [phrase["text"] for phrase in other["phrases"]]


def test_analyze_and_match_answer_what_the_engine_finds(client, engine, picture, image, photographs):
    asked = {"image": image, "categories": ["mediums"], "top": 2}
    absent = {"families": [], "tagger": "", "rating": "", "tags": []}
    expected = {**engine.analyze(picture, ["mediums"], 2)[0].to_dict(), **absent}
    assert client.post(f"{OWN}/analyze", json=asked).json() == expected
    second = photographs[2].resize((64, 64))
    question = {"phrases": ["a red circle", "a blue square"], "templates": ["a drawing of {}"]}
    answer = client.post(f"{OWN}/match", json={"images": [image, encoded(second)], **question}).json()
    assert answer == engine.match([picture, second], *question.values()).to_dict()


def test_embed_answers_the_file_that_the_command_writes(client, engine, picture, image):
    asked = {"images": [image, image], "family": "micro", "weights": [2, 1], "strength": 0.5, "quality": "quick"}
    answer = client.post(f"{OWN}/embed", json=asked)
    bare = client.post(f"{OWN}/embed", json=asked, headers={"Accept": "application/octet-stream"})
    assert bare.headers["content-type"] == "application/octet-stream"
    blend = Blend(weights=[2, 1], strength=0.5)
    expected = engine.embed([picture, picture], "micro", blend=blend, quality="quick")
    for data in (base64.b64decode(answer.json()["embedding"]), bare.content):
        found = PromptEmbedding.from_bytes(data)
        assert found.states is not None and expected.states is not None and found.states.equal(expected.states)
    assert answer.json()["description"] == expected.description


def test_an_embedding_has_the_captioner_where_a_search_describes_the_picture(engine, picture, image):
    client = client_of(host(preferences=lambda: Preferences(keeping="on the GPU")))

    def embedded(**asked):
        answer = client.post(f"{OWN}/embed", json={"images": [image], "family": "micro", **asked})
        return PromptEmbedding.from_bytes(base64.b64decode(answer.json()["embedding"])).states

    def loaded():
        return [model["kind"] for model in client.get(f"{OWN}/status").json()["loaded"]]

    good, described = embedded(quality="good"), embedded(anchor=(prompt := engine.interrogate(picture).prompt))
    assert loaded() == ["clip"]
    best = embedded()
    assert loaded() == ["clip", "captioner"]
    assert good.equal(engine.embed(picture, "micro", quality="good").states)
    assert best.equal(engine.embed(picture, "micro").states) and best.equal(described), prompt


def test_status_tells_what_is_loaded_and_unload_frees_it(image):
    client = client_of(host(preferences=lambda: Preferences(keeping="on the GPU")))
    assert client.get(f"{OWN}/status").json()["loaded"] == []
    client.post(f"{OWN}/interrogate", json={"image": image, "mode": "caption"})
    status = client.get(f"{OWN}/status").json()
    assert [(model["kind"], model["name"]) for model in status["loaded"]] == [("clip", "micro"), ("captioner", "micro")]
    assert all(model["bytes"] > 10**5 for model in status["loaded"]) and status["doing"] == []
    assert client.post(f"{OWN}/unload").json() == {**status, "loaded": []}


# --- refusals


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"image": "%%%"}, "no base64"),
        ({"image": ""}, "empty"),
        ({"image": "/etc/passwd"}, "no"),
        ({"image": "data:image/png,plain"}, "no base64"),
        ({"image": base64.b64encode(b"no picture").decode()}, "image"),
        ({"clip_model_name": "ViT-Q-7/nobody"}, "ViT-Q-7/nobody"),
        ({"clip_model_name": "/etc"}, "no CLIP '/etc'"),
        ({"clip_model_name": "\ud800"}, "no CLIP"),
        ({"mode": "better"}, "mode: "),
    ],
)
def test_bad_input_is_refused_with_a_reason(client, image, changed, text):
    assert text in refused(post(client, "/interrogator/prompt", {"image": image, **changed}))


@pytest.mark.parametrize(
    ("route", "asked", "text"),
    [
        ("interrogate", {}, "image: "),
        ("interrogate", {"picture": "x"}, "picture: "),
        ("interrogate", {"limits": {"flavors": -1}}, '"limits" of flavors is -1'),
        ("interrogate", {"limits": {"smells": 0}}, "smells"),
        ("interrogate", {"vocabulary": "../../etc"}, "no vocabulary '../../etc'"),
        ("interrogate", {"captioner": "/etc"}, "no captioner '/etc'"),
        ("analyze", {"categories": ["smells"]}, "smells"),
        ("analyze", {"top": 0}, "top: "),
        ("match", {"phrases": []}, "no phrases"),
        ("match", {"phrases": ["a"], "templates": ["a drawing"]}, "no {}"),
        ("embed", {"family": "sd9"}, "sd9"),
        ("embed", {"family": "sd15", "clip": "micro"}, "768 wide"),
        ("embed", {"family": "micro", "weights": [1, 2]}, "weights"),
        ("embed", {"family": "micro", "strength": float("nan")}, ""),
        ("embed", {"family": "micro", "images": []}, "no picture"),
    ],
)
def test_each_route_refuses_what_it_cannot_do(client, image, route, asked, text):
    picture = {"images": [image]} if route in ("match", "embed") else {"image": image}
    sent = asked if route == "interrogate" and not asked else {**picture, **asked}
    assert text in refused(post(client, f"{OWN}/{route}", sent))


def test_a_huge_picture_and_a_huge_request_are_refused(client, monkeypatch):
    wide = Image.new("1", (20_000, 20_000))
    assert "pixels" in refused(client.post(f"{OWN}/analyze", json={"image": encoded(wide)}))
    monkeypatch.setattr(api_route, "MOST_BYTES", 2**20)
    answer = client.post(f"{OWN}/analyze", json={"image": "A" * 2**20})
    assert answer.status_code == 413 and "1 MiB" in refused(answer)


def test_no_refusal_repeats_the_picture(client, image):
    assert image[:50] not in refused(client.post(f"{OWN}/interrogate", json={"image": image, "mode": image}))


def told_of_memory() -> ModelError:
    error = ModelError("The captioner runs out of memory on cuda; choose a smaller one.")
    error.__cause__ = RuntimeError("CUDA out of memory.")
    return error


@pytest.mark.parametrize("error", [RuntimeError("CUDA out of memory."), MemoryError(), told_of_memory()])
def test_short_memory_is_no_fault_of_the_request(client, image, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(Engine, "interrogate", fail)
    answer = client.post("/interrogator/prompt", json={"image": image})
    assert answer.status_code == 503 and "memory" in answer.json()["detail"] and "prompt" not in answer.json()


def test_an_unforeseen_failure_is_never_a_prompt(client, image, monkeypatch):
    monkeypatch.setattr(Engine, "interrogate", lambda *_: {}["x"])
    answer = client.post("/interrogator/prompt", json={"image": image})
    assert answer.status_code == 500 and list(answer.json()) == ["detail"]


# --- who may, and when


def routes() -> list[tuple[str, str]]:
    listed = client_of(host()).get("/openapi.json").json()["paths"]
    return [(method, path) for path, methods in listed.items() for method in methods]


def test_without_credentials_every_route_refuses():
    assert len(routes()) == 11
    logins = client_of(host(), login_guard(logins_in("me:a:b, you:pässword")))
    token = TestClient(application(MICRO, "seçret", lambda: False))
    for method, path in routes():
        for client, scheme in ((logins, "Basic"), (token, "Bearer")):
            for wrong in ({}, {"Authorization": "Bearer secret"}, {"Authorization": basic("me", "a")}):
                answer = client.request(method, path, headers=wrong)
                assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == scheme
                refused(answer)
    assert logins.get(f"{OWN}/status", headers={"Authorization": basic("me", "a:b")}).status_code == 200
    open_token = TestClient(application(MICRO, "secret", lambda: False))
    assert open_token.get(f"{OWN}/status", headers={"Authorization": "Bearer secret"}).status_code == 200


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_requests_wait_for_their_turn_and_the_status_does_not(image):
    lock, order = threading.Lock(), []
    lock.acquire()
    client = client_of(host(turn=lambda job: lock))

    def ask():
        order.append(client.post(f"{OWN}/analyze", json={"image": image, "categories": ["mediums"]}).status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    assert client.get(f"{OWN}/status").status_code == 200
    time.sleep(0.3)
    assert order == []
    lock.release()
    asking.join(60)
    assert order == [200]


def test_a_stop_ends_what_is_being_done(image):
    answer = client_of(host(interrupted=lambda: True)).post("/interrogator/prompt", json={"image": image})
    assert (answer.status_code, answer.json()) == (503, {"detail": "Stopped."})


# --- alone


def test_serve_listens_on_loopback_and_stops_when_asked(image):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "unrender", "serve", "--clip", "micro", "--port", str(port)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "UNRENDER_TOKEN": "secret"}
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                request = urllib.request.Request(f"http://127.0.0.1:{port}{OWN}/status")
                request.add_header("Authorization", "Bearer secret")
                with urllib.request.urlopen(request, timeout=10) as answer:
                    assert b'"clip":"micro"' in answer.read()
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) in (0, 130)
    finally:
        process.kill()
        said = process.communicate()[1]
    assert "Traceback" not in said and "secret" not in said


def test_serve_is_open_to_others_with_a_token_only(capsys, monkeypatch):
    from unrender.cli import main

    monkeypatch.delenv("UNRENDER_TOKEN", raising=False)
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    assert "--token" in capsys.readouterr().err
    assert main(["serve", "--port", "70000"]) == 2
