"""The API against its own description: no fault of the server's, no answer that is not described, and each refusal a
sentence of this program's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

pytest.importorskip("fastapi", reason="pip install fastapi httpx uvicorn")
pytest.importorskip("httpx", reason="pip install httpx")

from fastapi import FastAPI
from fastapi.testclient import TestClient
from test_api import MICRO, OWN, client_of, encoded, host, routes
from unrender.cli.serve import application
from unrender.core.embed.embedding import PromptEmbedding
from unrender.core.engine import Engine
from unrender.core.errors import MissingPackageError, ModelError
from unrender.server.api import router
from unrender.server.choices import Preferences
from unrender.server.guards import bearer_guard
from unrender.server.misfits import misfit
from unrender.server.private import without_places

HALF = "\ud83d"
IMAGE = encoded(Image.new("RGB", (32, 32), "red"))
NAMED = {"clip": "micro", "vocabulary": "built-in"}
WRITING = {
    **{"style": "tags", "instruction": "what", "system": "be short", "max_length": 4, "temperature": 0.5, "top_p": 0.5},
    **{"seed": 1, "repetition": 1.0, "trim": True},
}
TAGGING = {
    **{"general_threshold": 0.5, "character_threshold": 0.5, "automatic_threshold": False, "most_tags": 3},
    **{"rating": True, "exclude_tags": ["sea"], "tag_order": "alphabet", "underscores": True, "implied": True},
}
FITTING = {
    "/interrogator/prompt": {"image": IMAGE, "clip_model_name": "micro", "mode": "fast"},
    "/interrogator/analyze": {"image": IMAGE, "clip_model_name": "micro"},
    f"{OWN}/interrogate": {
        **{"image": IMAGE, "mode": "fast", "caption": "a boat", "limits": {"flavors": 1}, "exclude": ["soft light"]},
        **{**NAMED, "search": "peer", "pinned": ["neon fog"]},
        **{"captioner": "none", "tagger": "none", "rivals": [], "candidates": 1, "target": None, **WRITING, **TAGGING},
    },
    f"{OWN}/tag": {"image": IMAGE, "tagger": "micro-tagger", "target": None, **TAGGING},
    f"{OWN}/describe": {"image": IMAGE, "captioner": "micro", "target": None, **WRITING, **TAGGING},
    f"{OWN}/analyze": {"image": IMAGE, "categories": ["mediums"], "tagger": "none", **NAMED},
    f"{OWN}/match": {"images": [IMAGE], "phrases": ["a", "b"], "templates": ["a {}"], "clip": "micro"},
    f"{OWN}/embed": {
        **{"images": [IMAGE], "family": "micro", "projection": "pinv", "weights": [1.0], "mix": "mean", "text": "blue"},
        **{"anchor": None, "quality": None, "clip": "micro"},
    },
}
ODD = (
    *(HALF, f"a{HALF}", f"{IMAGE[:8]}{HALF}", [HALF], {HALF: HALF}, {HALF: 1}, [[HALF]], "\0", "\x1b[2J", "é" * 9),
    *(None, True, -1, 10**30, 1e308, float("nan"), float("inf"), "x" * 10**5, [], {}, [[]], "/etc/passwd", "../../etc"),
)


@pytest.fixture(scope="module")
def client():
    return client_of(host(preferences=lambda: Preferences(keeping="on the GPU")))


def sent(client, path: str, value) -> object:
    return client.post(path, content=json.dumps(value).encode(), headers={"Content-Type": "application/json"})


def own_sentence(answer) -> str:
    assert 400 <= answer.status_code < 500, answer.text
    assert list(answer.json()) == ["detail"]
    said = answer.json()["detail"]
    assert said.endswith(".") and len(said) < 500 and said.encode().decode() == said
    assert not re.search(r"pydantic|Input should|type_error|value_error|Traceback|/root|/home|/tmp|site-packages", said)
    return said


@pytest.mark.parametrize("path", FITTING)
def test_odd_values_in_every_field_are_refused_in_a_sentence(client, path, monkeypatch):
    assert sent(client, path, FITTING[path]).status_code == 200
    monkeypatch.setattr(
        Engine, "embed", lambda *_, **__: PromptEmbedding("micro", torch.zeros(77, 64))
    )  # which takes long
    for field in FITTING[path]:
        for odd in ODD:
            answer = sent(client, path, {**FITTING[path], field: odd})
            if answer.status_code != 200:
                own_sentence(answer)
            else:
                assert "\\ud83d" not in json.dumps(odd), (field, odd)
    for name in (HALF, f"more{HALF}", "x" * 10**5):
        answer = sent(client, path, {**FITTING[path], name: HALF})
        assert own_sentence(answer)
    for value in ([FITTING[path]], HALF, 3, None, [], {HALF: {HALF: [HALF]}}, {f"{n}{HALF}": 1 for n in range(1000)}):
        own_sentence(sent(client, path, value))


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[" * 10**5, b'{"image": "\xed\xa0\x80"}', b"\xff\xfe{\0}\0", b"9" * 5000, b"nul", b"\0", b"NaN"],
)
def test_what_is_no_json_is_refused_in_a_sentence(client, raw):
    for path in FITTING:
        own_sentence(client.post(path, content=raw, headers={"Content-Type": "application/json"}))
        own_sentence(client.post(path, content=raw, headers={"Content-Type": "application/json; charset=utf-16"}))


def test_halves_and_odd_bytes_elsewhere_are_refused_too(client):
    for path in ("/unrender/v1/%ed%a0%80", "/unrender/v1/status?a=%ed%a0%80", "/unrender/v1/unload?%ff=%ed"):
        for method in ("GET", "POST", "PUT"):
            assert client.request(method, path).status_code < 500
    token = TestClient(application(MICRO, "s\udcffcret", lambda: False), raise_server_exceptions=False)
    for sent in (b"Bearer \xff", b"Basic \xff\xff", b"Bearer", b"\xed\xa0\x80", b"bearer  secret"):
        assert token.get(f"{OWN}/status", headers={b"Authorization": sent}).status_code == 401
    bearer_guard("s\udcffcret").check("Bearer s\xffcret")  # as servers hand on the bytes of a header


def test_refusals_name_no_place_on_this_machine(client, monkeypatch, tmp_path):
    path = f"{OWN}/interrogate"
    for error in (
        ModelError(f"{tmp_path}/models/a b/config.json is damaged", f"copy it from {Path.home()}/x"),
        ModelError("/usr/lib/python3/thing.safetensors is no file"),
        MissingPackageError(f"{tmp_path} needs timm"),
        ImportError("cannot import name 'x' from 'y' (/usr/lib/python3/site-packages/y.py)", name="y"),
        RuntimeError(f"{tmp_path}/secret"),
        OSError(2, "No such file", "/usr/share/secret"),
    ):

        def fail(*_, error=error):
            raise error

        monkeypatch.setattr(Engine, "interrogate", fail)
        said = sent(client, path, FITTING[path]).json()["detail"]
        assert not re.search(r"/tmp|/usr|/root|/home|secret|bin/python", said), said
    assert without_places("send one that GET /interrogator/models lists, see https://a.b/usr/lib/c") == (
        "send one that GET /interrogator/models lists, see https://a.b/usr/lib/c"
    )


def test_both_pydantics_faults_are_said_alike():
    faults = [
        {"type": "missing", "loc": ("body", "image"), "msg": "Field required"},
        {"type": "value_error.missing", "loc": ("body", "image"), "msg": "field required"},
        {"type": "literal_error", "loc": ("body", "mode"), "msg": "", "ctx": {"expected": "'best' or 'fast'"}},
        {"type": "value_error.const", "loc": ("body", "mode"), "msg": "", "ctx": {"permitted": ("best", "fast")}},
    ]
    assert misfit(faults[:2]) == "The request does not fit: image: is absent."
    assert misfit(faults[2:3]) == "The request does not fit: mode: is not 'best' or 'fast'."
    assert misfit(faults[3:]) == "The request does not fit: mode: is not 'best', 'fast'."
    many = [{"type": "extra_forbidden", "loc": ("body", f"k{number}"), "msg": ""} for number in range(5)]
    assert misfit(many).endswith("k2: is no field here; and 2 more faults.")


# --- schemathesis


def try_all(app: FastAPI, examples: int, headers: dict[str, str] | None = None) -> set[tuple[str, str, int]]:
    """Drawn from the OpenAPI schema, half of it with real pictures in the place of drawn texts. Gives what
    was answered."""
    schemathesis = pytest.importorskip("schemathesis", reason="pip install schemathesis")
    from hypothesis import HealthCheck, given, settings, strategies

    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    tried = set()
    for operation in schema.get_all_operations():
        one = operation.ok()
        described = {int(status) for status in one.definition.raw["responses"]}

        @given(case=one.as_strategy(), real=strategies.booleans())
        @settings(
            max_examples=examples, derandomize=True, deadline=None, database=None, suppress_health_check=[*HealthCheck]
        )
        def send(case, real):
            if real and isinstance(case.body, dict) and case.body:
                known = {"image": IMAGE, "images": [IMAGE], "family": "micro"}
                case.body.update({name: known[name] for name in case.body if name in known})
            answer = case.call(timeout=120, headers=headers)
            assert answer.status_code < 500 and answer.status_code in described, answer.text  # noqa: B023  run at once
            case.validate_response(answer, checks=checks())
            tried.add((case.method, case.path, answer.status_code))

        send()
    return tried


def checks() -> list:
    from schemathesis.specs.openapi import checks as known

    return [known.status_code_conformance, known.content_type_conformance, known.response_schema_conformance]


def served(guard=None) -> FastAPI:
    app = FastAPI()
    app.include_router(router(host(preferences=lambda: Preferences(keeping="on the GPU")), guard))
    return app


def test_nothing_a_client_can_send_fails_the_server():
    tried = try_all(served(), 12)
    assert {path for _, path, _ in tried} == {path for _, path in routes()}
    assert {status for _, _, status in tried} >= {200, 422}


def test_nothing_a_stranger_can_send_fails_the_server():
    assert {status for _, _, status in try_all(served(bearer_guard("secret")), 5)} == {401}


@pytest.mark.full
def test_nothing_fails_the_server_in_many_tries():
    tried = try_all(served(), 500)
    assert {path for _, path, _ in tried} == {path for _, path in routes()}
