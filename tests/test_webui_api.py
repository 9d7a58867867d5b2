"""The API as part of a real webui without its page, which asks for a login."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace

import pytest
from hub_server import serving
from unrender.core.embed.embedding import PromptEmbedding
from unrender.core.engine import Engine
from unrender.core.settings import Settings
from webui_server import needs_webui, started

pytestmark = needs_webui

MICRO = {"clip": "micro", "captioner": "micro", "vocabulary": "built-in", "mode": "fast"}
OWN = "/unrender/v1"


@pytest.fixture(scope="module")
def webui(tmp_path_factory):
    base = tmp_path_factory.mktemp("webui")
    with serving() as hub, started(base, hub.url, "--nowebui", login=("ada", "secret")) as server:
        server.wait_for_checkpoint()
        server.set_options(**MICRO)
        yield server


@pytest.fixture(scope="module")
def engine():
    with Engine(Settings(clip="micro", captioner="micro", device="cpu", precision="exact")) as engine:
        yield engine


@pytest.fixture(scope="module")
def picture(photographs):
    return photographs[0].resize((96, 96))


@pytest.fixture(scope="module")
def image(picture) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture(scope="module")
def requests(image):
    """One that is answered for each route."""
    return {
        "/interrogator/models": None,
        "/interrogator/prompt": {"image": image, "clip_model_name": "micro", "mode": "fast"},
        "/interrogator/analyze": {"image": image, "clip_model_name": "micro"},
        f"{OWN}/interrogate": {"image": image, "mode": "fast"},
        f"{OWN}/tag": {"image": image},
        f"{OWN}/analyze": {"image": image, "top": 2},
        f"{OWN}/match": {"images": [image], "phrases": ["a red circle", "a blue square"]},
        f"{OWN}/embed": {"images": [image], "family": "micro"},
        f"{OWN}/status": None,
        f"{OWN}/unload": {},
    }


def refusal(webui, route, value, **headers) -> tuple[int, str]:
    data = None if value is None else json.dumps(value).encode()
    request = urllib.request.Request(webui.url + route, data, {"Content-Type": "application/json", **headers})
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    return refused.value.code, json.loads(refused.value.read())["detail"]


def authorization(login: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}


def test_webui_api_answers_those_alone_who_log_in(webui, requests):
    for route, value in requests.items():
        assert refusal(webui, route, value)[0] == 401, route
        assert refusal(webui, route, value, **authorization("ada:guessed"))[0] == 401, route
        assert webui.ask(route, value) is not None, route


def test_webui_api_finds_what_the_engine_finds(webui, engine, picture, image, requests):
    found = engine.interrogate(picture, "fast")
    answer = webui.ask(f"{OWN}/interrogate", requests[f"{OWN}/interrogate"])
    assert (answer["prompt"], answer["similarity"]) == (found.prompt, pytest.approx(found.similarity, abs=1e-4))
    assert webui.ask("/interrogator/prompt", requests["/interrogator/prompt"]) == {"prompt": found.prompt}
    made = webui.ask(f"{OWN}/embed", requests[f"{OWN}/embed"])
    embedding = PromptEmbedding.from_bytes(base64.b64decode(made["embedding"]), "the answer")
    assert embedding.states.allclose(engine.embed([picture], "micro").states, atol=1e-4)


def test_webui_api_tells_tags_and_writes_as_the_settings_say(webui, engine, picture, image):
    """With the webui's own transformers, which may know no chat model: a sentence says so then."""
    with Engine(replace(engine.settings, tagger="micro-tagger")) as tagging:
        tags = tagging.interrogate(picture, "tags")
        both = tagging.interrogate(picture, "fast")
    found = webui.ask(f"{OWN}/tag", {"image": image})
    assert (found["text"], found["tagger"]) == (tags.prompt, "micro-tagger")
    assert {each["name"] for each in found["tags"]} == {tag.name for tag in tags.tags}
    webui.set_options(**MICRO, tagger="micro-tagger", style="tags")
    try:
        assert webui.ask(f"{OWN}/interrogate", {"image": image, "mode": "fast"})["prompt"] == both.prompt
        try:
            assert webui.ask(f"{OWN}/describe", {"image": image, "captioner": "micro-chat"})["text"]
        except urllib.error.HTTPError as refused:
            assert refused.code == 422 and "transformers" in json.loads(refused.read())["detail"]
    finally:
        webui.set_options(**MICRO, tagger="none", style="as usual")


def test_webui_api_says_what_is_wrong_with_a_request(webui, image):
    login = authorization("ada:secret")
    for value, named in (
        ({"image": base64.b64encode(b"no picture").decode()}, "image"),
        ({"image": "/etc/passwd"}, "base64"),
        ({"image": image, "clip": "/etc"}, "/etc"),
        ({"image": image, "mode": "slow"}, "mode"),
        ({"mode": "fast"}, "image"),
    ):
        code, said = refusal(webui, f"{OWN}/interrogate", value, **login)
        assert code == 422 and named in said and said.endswith("."), said
    assert refusal(webui, "/interrogator/prompt", {"image": "x", "clip_model_name": "micro"}, **login)[0] == 422


def test_webui_api_waits_until_the_webui_has_drawn(webui, requests):
    ended: dict[str, float] = {}

    def timed(name, *asked):
        webui.ask(*asked)
        ended[name] = time.monotonic()

    drawing = {"prompt": "a cat", "steps": 150, "width": 64, "height": 64, "sampler_name": "Euler a"}
    drawn = threading.Thread(target=timed, args=("drawing", "/sdapi/v1/txt2img", drawing))
    drawn.start()
    wait_for(lambda: webui.ask("/sdapi/v1/progress")["state"]["sampling_step"] > 1)
    asked = threading.Thread(target=timed, args=("finding", f"{OWN}/interrogate", requests[f"{OWN}/interrogate"]))
    asked.start()
    wait_for(lambda: any("Waiting" in line for line in webui.ask(f"{OWN}/status")["doing"]))
    drawn.join(120)
    asked.join(120)
    assert ended["drawing"] < ended["finding"]


def test_webui_api_ends_what_the_webui_is_told_to_interrupt(webui, image):
    answers: list[tuple[int, str]] = []
    value = {"image": image, "mode": "best", "search": "beam"}  # which takes its time

    def find():
        answers.append(refusal(webui, f"{OWN}/interrogate", value, **authorization("ada:secret")))

    finding = threading.Thread(target=find)
    finding.start()
    wait_for(lambda: webui.ask(f"{OWN}/status")["doing"])
    webui.ask("/sdapi/v1/interrupt", {})
    finding.join(60)
    assert answers[0][0] == 503
    assert webui.ask(f"{OWN}/interrogate", {"image": image, "mode": "fast"})["prompt"]


def test_webui_api_frees_the_models(webui, requests):
    webui.ask(f"{OWN}/interrogate", requests[f"{OWN}/interrogate"])
    assert {each["kind"] for each in webui.ask(f"{OWN}/status")["loaded"]} == {"clip", "captioner"}
    assert webui.ask(f"{OWN}/unload", {})["loaded"] == []


def wait_for(happened) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)
