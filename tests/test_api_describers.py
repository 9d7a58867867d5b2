"""Describers through the API: what a request says reaches their settings, and what they say is answered whole."""

from __future__ import annotations

import gc
from dataclasses import replace

import pytest
from PIL import Image
from unrender.core.describe import Describer, Description
from unrender.core.engine import Engine
from unrender.core.prompt.memory import WORKING_MEMORY
from unrender.core.published import USUAL_TAGGER
from unrender.core.results import Interrogation
from unrender.core.settings import Settings
from unrender.core.targets import TARGETS

pytest.importorskip("fastapi", reason="pip install fastapi httpx uvicorn")
pytest.importorskip("httpx", reason="pip install httpx")

from test_api import MICRO, OWN, client_of, encoded, host, refused
from unrender.server.api_models import DescribeRequest, InterrogateRequest, TagRequest
from unrender.server.choices import Preferences

FOUND = Interrogation("a", None, "tags", "", (), "micro-tagger", 0.0)
WRITING = {
    "style": ("keywords", lambda asked: asked.captioning.style),
    "instruction": ("what is it?", lambda asked: asked.captioning.instruction),
    "system": ("you are short", lambda asked: asked.captioning.system),
    "max_length": (9, lambda asked: asked.captioning.max_length),
    "temperature": (0.5, lambda asked: asked.captioning.temperature),
    "top_p": (0.25, lambda asked: asked.captioning.top_p),
    "seed": (2**63, lambda asked: asked.captioning.seed),
    "repetition": (1.25, lambda asked: asked.captioning.repetition),
    "trim": (True, lambda asked: asked.captioning.trim),
}
CHOICE = {
    "general_threshold": (0.25, lambda asked: asked.captioning.tags.general),
    "character_threshold": (0.75, lambda asked: asked.captioning.tags.character),
    "automatic_threshold": (True, lambda asked: asked.captioning.tags.automatic),
    "most_tags": (3, lambda asked: asked.captioning.tags.most),
    "rating": (True, lambda asked: asked.captioning.tags.rating),
    "exclude_tags": (["red"], lambda asked: list(asked.captioning.tags.exclude)),
    "tag_order": ("alphabet", lambda asked: asked.captioning.tags.order),
    "underscores": (True, lambda asked: asked.captioning.tags.underscores),
    "implied": (True, lambda asked: asked.captioning.tags.implied),
}
TARGET = {"target": ("anima", lambda asked: asked.captioning.tags.target)}
TAGGER = {"tagger": ("micro-tagger", lambda asked: asked.tagger)}
CAPTIONER = {"captioner": ("micro-tagger", lambda asked: asked.captioner)}
COMPETING = {
    "rivals": (["micro-tagger", "blip-base"], lambda asked: list(asked.rivals)),
    "candidates": (3, lambda asked: asked.candidates),
}
SEARCHING = {
    "search": ("peer", lambda asked: asked.search),
    "pinned": (["neon fog"], lambda asked: list(asked.pinned)),
}
ROUTES = {
    "interrogate": (
        InterrogateRequest,
        {**WRITING, **CHOICE, **TARGET, **TAGGER, **CAPTIONER, **COMPETING, **SEARCHING},
    ),
    "tag": (TagRequest, {**CHOICE, **TARGET, **TAGGER}),
    "describe": (DescribeRequest, {**WRITING, **CHOICE, **TARGET, **CAPTIONER}),
}
OLDER = {"image", "mode", "caption", "limits", "exclude", "clip", "vocabulary"}
"""Those that `test_api` has."""


@pytest.fixture
def image(picture_of_moon) -> str:
    return encoded(picture_of_moon)


@pytest.fixture(scope="module")
def picture_of_moon():
    from unrender.core.micro.drawing import draw
    from unrender.core.micro.world import Scene

    return draw(Scene("moon", "yellow", "large", "sea", "oil", "mira"), 3).picture


@pytest.fixture
def asked(monkeypatch) -> list[Settings]:
    """Settings that engines were asked with, which answer at once."""
    seen: list[Settings] = []
    monkeypatch.setattr(Engine, "interrogate", lambda engine, *_: seen.append(engine.settings) or FOUND)
    monkeypatch.setattr(Engine, "describe", lambda engine, _: seen.append(engine.settings) or [Description("a")])
    return seen


@pytest.mark.parametrize(("route", "field"), [(route, field) for route, (_, more) in ROUTES.items() for field in more])
def test_each_field_reaches_the_settings(image, asked, route, field):
    value, setting = ROUTES[route][1][field]
    client = client_of(host())
    body = {"image": image, **({"mode": "caption"} if route == "interrogate" else {})}
    assert client.post(f"{OWN}/{route}", json=body).status_code == 200
    answer = client.post(f"{OWN}/{route}", json={**body, field: value})
    assert answer.status_code == 200, answer.text
    without, given = asked
    assert setting(given) == value != setting(without)


@pytest.mark.parametrize("route", ROUTES)
def test_no_field_is_forgotten(route):
    model, tried = ROUTES[route]
    known = getattr(model, "model_fields", None) or model.__fields__
    assert set(known) - OLDER == set(tried)


def test_the_models_mean_the_same_under_pydantic_1(monkeypatch):
    """As AUTOMATIC1111's webui has it, where a bound of a list is one of what is in it."""
    import importlib.util
    import sys

    old = pytest.importorskip("pydantic.v1", reason="pydantic 2 brings its elder along")
    from unrender.server import api_models

    spec = importlib.util.spec_from_file_location("unrender.server.older_models", api_models.__file__)
    models = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "pydantic", old)
    monkeypatch.setitem(sys.modules, spec.name, models)
    spec.loader.exec_module(models)
    for route, (model, fields) in ROUTES.items():
        body = {"image": "", **{field: value for field, (value, _) in fields.items()}}
        given = getattr(models, model.__name__)(**body).dict()
        assert {name: given[name] for name in body} == body, route
        for field, wrong in {"temperature": -1, "seed": 2**64, "top_p": 0, "most_tags": 0, "rating": "maybe"}.items():
            if field in fields:
                with pytest.raises(old.ValidationError):
                    getattr(models, model.__name__)(**{"image": "", field: wrong})


# --- who is asked


@pytest.mark.parametrize(
    ("route", "field", "name"),
    [
        ("interrogate", "captioner", "/etc"),
        ("interrogate", "tagger", "someone/tagger"),
        ("interrogate", "rivals", "http://127.0.0.1:9/v1#m"),
        ("tag", "tagger", "../../etc"),
        ("describe", "captioner", ""),
        ("analyze", "tagger", "someone/tagger"),
    ],
)
def test_a_describer_that_is_not_known_is_refused_by_each_name(image, route, field, name):
    given = [name] if field == "rivals" else name
    said = refused(client_of(host()).post(f"{OWN}/{route}", json={"image": image, field: given}))
    assert f"There is no {field} {name!r}" in said and "micro-tagger" in said


def test_many_rivals_are_refused(image):
    body = {"image": image, "rivals": ["micro-chat"] * 9}
    assert refused(client_of(host()).post(f"{OWN}/interrogate", json=body)).startswith('"rivals" are 9; ')


@pytest.mark.parametrize(("route", "field"), [("describe", "captioner"), ("tag", "tagger")])
def test_what_the_program_was_started_with_may_be_named_for_anything(image, asked, route, field):
    pytest.importorskip("openai", reason="the library that asks servers is not installed (extra endpoint)")
    name = "http://127.0.0.1:9/v1#m"
    client = client_of(host(settings=replace(MICRO, rivals=(name,))))
    answer = client.post(f"{OWN}/{route}", json={"image": image, field: name})
    assert answer.status_code == 200, answer.text
    assert getattr(asked[0], field) == name in client.get(f"{OWN}/status").json()["captioners"]


def test_none_takes_away_what_the_program_was_started_with(image, asked):
    client = client_of(host(settings=replace(MICRO, tagger="micro-tagger", rivals=("micro-tagger",))))
    assert client.get(f"{OWN}/status").json()["tagger"] == "micro-tagger"
    body = {"image": image, "mode": "fast"}
    for more in ({}, {"tagger": "none", "captioner": "none", "rivals": []}):
        assert client.post(f"{OWN}/interrogate", json={**body, **more}).status_code == 200
    usual, without = asked
    assert (usual.captioner, usual.tagger, usual.rivals) == ("micro", "micro-tagger", ("micro-tagger",))
    assert (without.captioner, without.tagger, without.rivals) == (None, None, ())


# --- targets


def test_a_target_takes_its_mode_and_what_is_there_and_says_so(image):
    client = client_of(host())
    for name, target in TARGETS.items():
        found = client.post(f"{OWN}/interrogate", json={"image": image, "target": name}).json()
        assert found["mode"] in (target.mode, "caption")
        told = found["remark"]
        assert told == f"Chose {found['model']} for {name}: it is a toy that comes along." or (
            target.mode != "tags" and ("micro" in told or not told)
        )
    assert client.get(f"{OWN}/status").json()["targets"] == list(TARGETS)


def test_a_target_has_nothing_downloaded_that_nobody_named(image, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    client = client_of(host(settings=Settings(device="cpu", cache=tmp_path)))
    for route in ("interrogate", "tag"):
        said = refused(client.post(f"{OWN}/{route}", json={"image": image, "target": "illustrious"}))
        assert "no tagger is on this disk" in said and f"send {USUAL_TAGGER}, a download of " in said
        assert 'as "tagger"' in said


def test_what_the_program_was_started_with_judges_for_targets_too(image, asked):
    client = client_of(host())
    client.post(f"{OWN}/interrogate", json={"image": image, "target": "sd2"})
    client.post(f"{OWN}/interrogate", json={"image": image, "target": "sd2", "clip": "ViT-L-14/openai"})
    other = client_of(host(settings=Settings(captioner="none", device="cpu")))
    other.post(f"{OWN}/interrogate", json={"image": image, "target": "sd2"})
    assert [each.clip for each in asked] == ["micro", "ViT-L-14/openai", TARGETS["sd2"].clip]


# --- what is answered


def test_tags_are_answered_by_category_and_no_clip_is_loaded(image, picture_of_moon):
    client = client_of(host(preferences=lambda: Preferences(keeping="on the GPU")))
    found = client.post(f"{OWN}/tag", json={"image": image}).json()
    with Engine(MICRO) as engine:
        expected = engine.interrogate(picture_of_moon, "tags")
    assert found["text"] == expected.prompt and found["tagger"] == "micro-tagger"
    assert found["tags"] == [vars(tag) for tag in expected.tags] and len(found["tags"]) > 3
    ratings = {each["name"]: each["confidence"] for each in found["tags"] if each["category"] == "rating"}
    assert found["rating"] == max(ratings, key=ratings.__getitem__)
    assert found["characters"] == [each["name"] for each in found["tags"] if each["category"] == "character"]
    loaded = client.get(f"{OWN}/status").json()["loaded"]
    assert [(each["kind"], each["name"]) for each in loaded] == [("tagger", "micro-tagger")]
    fewer = client.post(f"{OWN}/tag", json={"image": image, "most_tags": 1, "exclude_tags": ["moon"]}).json()
    assert "moon" not in fewer["text"] and len(fewer["text"]) < len(found["text"])


def test_a_description_is_answered_whole_in_each_style_without_a_clip(image, picture_of_moon):
    client = client_of(host(preferences=lambda: Preferences(keeping="on the GPU")))
    texts = {}
    for style in ("sentence", "paragraph", "tags"):
        body = {"image": image, "captioner": "micro-chat", "style": style}
        answer = client.post(f"{OWN}/describe", json=body)
        assert answer.status_code == 200, answer.text
        texts[style] = answer.json()["text"]
        asked = replace(MICRO.captioning, style=style)
        with Engine(replace(MICRO, captioner="micro-chat", captioning=asked)) as engine:
            assert texts[style] == engine.describe([picture_of_moon])[0].text
    assert len(set(texts.values())) == 3 and all("crescent" in text for text in texts.values())
    assert [each["name"] for each in client.get(f"{OWN}/status").json()["loaded"]] == ["micro-chat"]


def test_an_analysis_has_tags_where_a_tagger_is_named(image):
    client = client_of(host())
    asked = {"image": image, "categories": ["mediums"], "top": 1}
    without = client.post(f"{OWN}/analyze", json=asked).json()
    found = client.post(f"{OWN}/analyze", json={**asked, "tagger": "micro-tagger"}).json()
    tagged = client.post(f"{OWN}/tag", json={"image": image}).json()
    assert (without["tagger"], without["rating"], without["tags"]) == ("", "", [])
    assert found["categories"] == without["categories"]
    assert (found["tags"], found["rating"]) == (tagged["tags"], tagged["rating"])
    said = refused(client.post(f"{OWN}/analyze", json={**asked, "tagger": "micro-chat"}))
    assert "tells no confidences" in said


def test_texts_compete_and_each_is_answered_with_its_similarity(image):
    body = {"image": image, "mode": "caption", "captioner": "micro-chat", "rivals": ["micro"], "candidates": 2}
    found = client_of(host()).post(f"{OWN}/interrogate", json={**body, "seed": 2**64 - 1}).json()
    assert {each["describer"] for each in found["contenders"]} == {"micro-chat", "micro"}
    similarities = [each["similarity"] for each in found["contenders"]]
    assert similarities == sorted(similarities, reverse=True) and found["caption"] == found["contenders"][0]["text"]


# --- what stays in memory


class Heavy(Describer):
    def __init__(self, name, alive):
        self.name = name
        self._alive = alive
        self._itself = self  # as models hold themselves
        alive.add(name)

    def __del__(self):
        self._alive.discard(self.name)

    @property
    def nbytes(self):
        return 10**9

    def describe(self, images, settings=None, progress=None):
        return [Description(self.name) for _ in images]


def test_a_describer_stays_for_the_next_request_and_is_gone_before_another_comes(image, monkeypatch):
    alive, loads, rooms = set(), [], []

    def load(name, *_, **__):
        loads.append((name, sorted(alive)))
        return Heavy(name, alive)

    monkeypatch.setattr("unrender.core.describe.load_describer", load)
    room = host().make_room
    client = client_of(host(make_room=lambda needed: rooms.append(needed) or room(needed)))
    for name in ("micro-chat", "micro-chat", "micro-tagger"):
        answer = client.post(f"{OWN}/describe", json={"image": image, "captioner": name})
        assert answer.json()["text"] == name
    assert loads == [("micro-chat", []), ("micro-tagger", [])]
    client.post(f"{OWN}/unload")
    assert not alive
    rooms.clear()
    body = {"image": image, "captioner": "micro-chat", "rivals": ["micro-tagger"], "mode": "caption", "clip": "micro"}
    assert client.post(f"{OWN}/interrogate", json=body).status_code == 200
    assert 10**9 < rooms[-1] - WORKING_MEMORY < 2 * 10**9, "they are on the device one after the other"


@pytest.mark.parametrize("route", ["describe", "tag"])
def test_a_host_s_objects_are_not_looked_through_after_each_picture(monkeypatch, route):
    """What describes is kept for the next one, and a webui has a million objects."""
    client, looks = client_of(host(preferences=lambda: Preferences(keeping="on the GPU"))), []
    body = {"image": encoded(Image.new("RGB", (32, 32), "red")), "captioner": "micro", "tagger": "micro-tagger"}
    body = {name: body[name] for name in ("image", "captioner" if route == "describe" else "tagger")}
    assert client.post(f"{OWN}/{route}", json=body).status_code == 200
    monkeypatch.setattr(gc, "collect", lambda *_: looks.append(1))
    assert client.post(f"{OWN}/{route}", json=body).status_code == 200
    assert not looks


def test_they_are_after_an_engine_of_one_s_own(monkeypatch):
    looks: list[int] = []
    with Engine(Settings(clip="micro", captioner="micro")) as engine:
        engine.interrogate(Image.new("RGB", (32, 32), "red"), "fast")
        monkeypatch.setattr(gc, "collect", lambda *_: looks.append(1))
    assert looks == [1]
