"""What the API's routes, the pages and ComfyUI's nodes refuse before a model is loaded."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from comfyui_graphs import CAPTIONING, EMBED, INTERROGATE, MICRO, SEARCHING
from comfyui_nodes import use_standin
from PIL import Image
from refusals import forbid_models, unchanged, write_files
from transformers import CLIPTokenizer

use_standin()

import comfy.model_management as standin_memory  # noqa: E402
import folder_paths  # noqa: E402
from comfyui_small_models import WIDTH, small_clip, small_vision  # noqa: E402
from unrender.core.errors import (  # noqa: E402
    EmbeddingError,
    ImageError,
    MissingPackageError,
    ModelError,
    PhraseError,
    SettingsError,
)
from unrender.core.phrases import peers  # noqa: E402
from unrender.core.settings import Settings  # noqa: E402
from unrender.nodes import host as nodes_host  # noqa: E402
from unrender.nodes.embedding import ImageToPromptEmbedding  # noqa: E402
from unrender.nodes.folder import CaptionFolder  # noqa: E402
from unrender.nodes.interrogate import Interrogate  # noqa: E402
from unrender.nodes.loading import InterrogatorFromGraph, LoadInterrogator  # noqa: E402
from unrender.nodes.models import named_setup  # noqa: E402
from unrender.nodes.study import Analyze, Locate, MatchPhrases  # noqa: E402
from unrender.server.batches import BatchRequest, described  # noqa: E402
from unrender.server.choices import Request, Study  # noqa: E402
from unrender.server.embeddings import EmbeddingRequest, Kept, Weighted, embedded, previewed  # noqa: E402
from unrender.server.host import alone  # noqa: E402
from unrender.server.jobs import Job  # noqa: E402
from unrender.server.work import analysis, interrogation, location, matched  # noqa: E402

from server import PromptServer  # noqa: E402


@pytest.fixture
def here(tmp_path, monkeypatch):
    write_files(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- routes

INTERROGATING = [
    ({"image": "!"}, "base64"),
    ({"mode": "worst"}, "mode"),
    ({"mode": "caption", "captioner": "none"}, "caption mode has no caption"),
    ({"mode": "caption", "caption": " "}, "caption mode has no caption"),
    ({"limits": {"moods": 1}}, "'moods'"),
    ({"limits": {"artists": -1}}, '"limits" of artists'),
    ({"clip": "ViT-L-14/opnai"}, "'ViT-L-14/opnai'"),
    ({"captioner": "blip"}, "'blip'"),
    ({"vocabulary": "nowhere"}, "'nowhere'"),
]
EMBEDDING = [
    ({"family": "sd9"}, "'sd9'"),
    ({"family": "sd3"}, "Stable Diffusion 3"),
    ({"images": []}, "no picture"),
    ({"weights": [1, 2]}, "2 weights for 1"),
    ({"weights": [-1]}, "weight is below zero"),
    ({"projection": "ridge", "text": "a star"}, "less than 1 as"),
    ({"family": "sdxl", "projection": "pinv"}, "SDXL"),
    ({"quality": "better"}, "quality"),
    ({"quality": "best", "projection": "soft"}, 'leave out "projection", or leave out "quality"'),
    ({"quality": "quick", "anchor": "a star"}, 'leave out "anchor", or send good or best as "quality"'),
    ({"alpha": -1}, '"alpha" is -1'),
    ({"strength": 2}, '"strength" is 2'),
]
ROUTES = [
    *(("interrogate", {"image": None, **changed}, says) for changed, says in INTERROGATING),
    ("analyze", {"image": None, "categories": ["moods"]}, "'moods'"),
    ("analyze", {"image": None, "top": 0}, "top"),
    ("match", {"images": [None], "phrases": []}, "no phrases"),
    ("match", {"images": [], "phrases": ["a cat"]}, "no picture"),
    ("match", {"images": [None], "phrases": ["a cat"], "templates": ["plain"]}, "'plain'"),
    *(("embed", {"images": [None], "family": "micro", **changed}, says) for changed, says in EMBEDDING),
]


@pytest.mark.parametrize(("route", "asked", "says"), ROUTES, ids=[f"{route}: {says}" for route, _, says in ROUTES])
def test_a_route_refuses(here, monkeypatch, route, asked, says):
    refused_by_route(here, monkeypatch, MICRO_SETTINGS, route, asked, says)


SERVED = [
    ({"limits": {"moods": 1}}, "'moods'"),
    ({"phrases": "nowhere"}, "nowhere"),
    ({"captioner": "blip"}, "'blip'"),
    ({"device": "abacus"}, "'abacus'"),
]
MICRO_SETTINGS = Settings(clip="micro", captioner="micro", device="cpu")


@pytest.mark.parametrize(("settings", "says"), SERVED, ids=[says for _, says in SERVED])
def test_a_route_refuses_what_the_program_was_started_with(here, monkeypatch, settings, says):
    usual = Settings(**{"clip": "micro", "captioner": "micro", "device": "cpu", **settings})
    refused_by_route(here, monkeypatch, usual, "interrogate", {"image": None}, says)


def refused_by_route(here, monkeypatch, settings, route, asked, says):
    """None stands for a picture."""
    pytest.importorskip("fastapi", reason="pip install fastapi httpx uvicorn")
    pytest.importorskip("httpx", reason="pip install httpx")
    from fastapi.testclient import TestClient
    from unrender.cli.serve import application

    picture = base64.b64encode((here / "red.png").read_bytes()).decode()
    for name, value in asked.items():
        asked = {**asked, name: picture if value is None else [picture] if value == [None] else value}
    client = TestClient(application(settings, None, lambda: False), raise_server_exceptions=False)
    tried = forbid_models(monkeypatch)
    with unchanged(here):
        answer = client.post(f"/unrender/v1/{route}", json=asked)
    assert 400 <= answer.status_code < 500 and says in answer.json()["detail"], answer.text
    assert tried == []


# --- pages


def _study(**changed):
    return Study(**{"picture": Image.new("RGB", (8, 8)), "clip": "micro", **changed})


def _asked(**changed):
    wanted = {"picture": Image.new("RGB", (8, 8)), "mode": "fast", "clip": "micro", "captioner": "micro", **changed}
    return Request(**wanted)


def _embedding(*weights, **changed):
    pictures = [Weighted(Image.new("RGB", (8, 8)), weight) for weight in weights]
    return EmbeddingRequest(pictures, **{"family": "micro", **changed})


def _kept(family="micro", width=128):
    from unrender.core.embed.embedding import PromptEmbedding

    return Kept(PromptEmbedding(family, torch.zeros(77, width)))


PAGES = {
    "no picture": (lambda host: interrogation(host, _asked(picture=None), Job()), ImageError, "no picture"),
    "a vocabulary": (lambda host: interrogation(host, _asked(vocabulary="nowhere"), Job()), PhraseError, "nowhere"),
    "a captioner": (lambda host: interrogation(host, _asked(captioner="blip"), Job()), ModelError, "'blip'"),
    "a CLIP": (lambda host: interrogation(host, _asked(clip="opnai"), Job()), ModelError, "'opnai'"),
    "no captioner": (
        lambda host: interrogation(host, _asked(mode="caption", captioner=""), Job()),
        SettingsError,
        "caption mode has no caption",
    ),
    "a category": (lambda host: analysis(host, _study(), ["moods"], False, Job()), PhraseError, "'moods'"),
    "phrases to study": (
        lambda host: analysis(host, _study(vocabulary="nowhere"), [], False, Job()),
        PhraseError,
        "nowhere",
    ),
    "no phrases": (lambda host: matched(host, _study(), " \n", "", Job()), SettingsError, "no phrases"),
    "a template": (lambda host: matched(host, _study(), "a cat", "plain", Job()), SettingsError, "'plain'"),
    "no phrase": (lambda host: location(host, _study(), " ", Job()), SettingsError, "no phrase"),
    "a family": (lambda host: embedded(host, _embedding(1, family="sd9"), Job()), SettingsError, "'sd9'"),
    "no weight": (lambda host: embedded(host, _embedding(0), Job()), ImageError, "no picture"),
    "a text": (
        lambda host: embedded(host, _embedding(1, projection="ridge", text="a star"), Job()),
        SettingsError,
        "less than 1 as",
    ),
    "a description": (
        lambda host: embedded(host, _embedding(1, quality="quick", anchor="a star"), Job()),
        SettingsError,
        "leave out anchor",
    ),
    "no embedding": (lambda host: previewed(host, None, "micro", Job()), EmbeddingError, "no embedding"),
    "nothing to render by": (lambda host: previewed(host, _kept(), "", Job()), EmbeddingError, "name a checkpoint"),
    "no checkpoint": (lambda host: previewed(host, _kept(), "absent", Job()), ModelError, "absent"),
    "no folder": (lambda host: described(host, BatchRequest(" ", _asked()), Job()), SettingsError, "no folder"),
    "an empty folder": (
        lambda host: described(host, BatchRequest("nothing", _asked()), Job()),
        SettingsError,
        "no pictures in nothing",
    ),
    "an output": (
        lambda host: described(host, BatchRequest("pictures", _asked(), "copy"), Job()),
        SettingsError,
        "folder",
    ),
    "a vocabulary for many": (
        lambda host: described(host, BatchRequest("pictures", _asked(vocabulary="nowhere")), Job()),
        PhraseError,
        "nowhere",
    ),
    "a captioner for many": (
        lambda host: described(host, BatchRequest("pictures", _asked(captioner="blip")), Job()),
        ModelError,
        "'blip'",
    ),
}


@pytest.mark.parametrize(("ask", "error", "says"), PAGES.values(), ids=PAGES)
def test_a_page_refuses(here, monkeypatch, ask, error, says):
    if ask is PAGES["no checkpoint"][0]:
        pytest.importorskip("diffusers", reason="without diffusers it is that which is told")
    host = alone(Settings(clip="micro", captioner="micro", device="cpu", cache=here / "cache"))
    tried = forbid_models(monkeypatch)
    with unchanged(here), pytest.raises(error, match=says):
        ask(host)
    assert tried == [] and host.models.loaded == []


def test_a_preview_misses_diffusers_before_a_model_is_loaded(here, monkeypatch):
    host = alone(Settings(clip="micro", captioner="micro", device="cpu", cache=here / "cache"))
    monkeypatch.setitem(sys.modules, "diffusers", None)
    tried = forbid_models(monkeypatch)
    with unchanged(here), pytest.raises(MissingPackageError, match="diffusers"):
        previewed(host, _kept(), "micro", Job())
    assert tried == []


# --- nodes


@pytest.fixture
def models(here, monkeypatch):
    """ComfyUI's model folders, empty, with ours registered."""
    monkeypatch.setattr(folder_paths, "models_dir", str(here / "models"))
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", {})
    monkeypatch.setattr(standin_memory, "loaded", [])
    monkeypatch.setattr(PromptServer, "instance", PromptServer())
    nodes_host.register_folder()
    return here


@pytest.fixture(scope="module")
def clip(transformers_folder):
    return small_clip(CLIPTokenizer.from_pretrained(transformers_folder))


def _setup(**changed):
    usual = {"clip": "micro", "captioner": "micro", "cache": nodes_host.model_folders()[0], **changed}
    return named_setup(Settings(**usual))


def _listed(**values):
    return {name: [value] for name, value in {**INTERROGATE, **values}.items()}


PICTURES = torch.zeros(2, 16, 16, 3)

NODES = {
    "captions": (
        lambda: Interrogate.execute(
            [PICTURES], **{**_listed(interrogator=_setup()), "caption": ["a cat", "a dog", "a cow"]}
        ),
        "3 captions for 2",
    ),
    "an empty caption": (
        lambda: Interrogate.execute([PICTURES], **_listed(interrogator=_setup(), mode="caption", caption=" ")),
        "caption mode has no caption",
    ),
    "no captioner": (
        lambda: Interrogate.execute([PICTURES], **_listed(interrogator=_setup(captioner=None), mode="caption")),
        "caption mode has no caption",
    ),
    "phrases": (
        lambda: Interrogate.execute([PICTURES], **_listed(interrogator=_setup(phrases="nowhere"))),
        "nowhere",
    ),
    "a limit": (
        lambda: Interrogate.execute([PICTURES], **_listed(interrogator=_setup(limits={"moods": 1}))),
        "'moods'",
    ),
    "a CLIP to load": (lambda: LoadInterrogator.execute(**{**MICRO, "other_clip": "opnai"}), "'opnai'"),
    "a captioner to load": (lambda: LoadInterrogator.execute(**{**MICRO, "captioner": "blip"}), "'blip'"),
    "a vocabulary to load": (
        lambda: LoadInterrogator.execute(**{**MICRO, "vocabulary": "clip-gaze"}),
        "clip-gaze",
    ),
    "a captioner beside a graph": (
        lambda: InterrogatorFromGraph.execute(None, None, **{**CAPTIONING, **SEARCHING, "captioner": "blip"}),
        "'blip'",
    ),
    "a category": (lambda: Analyze.execute(PICTURES, "moods", 5, False, _setup()), "'moods'"),
    "no phrases": (lambda: MatchPhrases.execute(PICTURES, " \n", "", _setup()), "no phrases"),
    "a template": (lambda: MatchPhrases.execute(PICTURES, "a cat", "plain", _setup()), "'plain'"),
    "no phrase": (lambda: Locate.execute(PICTURES, " ", 0.0, _setup()), "no phrase"),
    "no folder": (lambda: CaptionFolder.execute(" ", "fast", "skip", False, "", "", _setup()), "no folder"),
    "an absent folder": (
        lambda: CaptionFolder.execute("absent", "fast", "skip", False, "", "", _setup()),
        "absent",
    ),
    "phrases for many": (
        lambda: CaptionFolder.execute(
            str(Path.cwd() / "pictures"), "fast", "skip", False, "", "", _setup(phrases="nowhere")
        ),
        "nowhere",
    ),
}


@pytest.mark.parametrize(("ask", "says"), NODES.values(), ids=NODES)
def test_a_node_refuses(models, monkeypatch, ask, says):
    monkeypatch.setattr(peers, "importlib", SimpleNamespace(util=SimpleNamespace(find_spec=lambda _: None)))
    tried = forbid_models(monkeypatch)
    with unchanged(models), pytest.raises(Exception, match=says) as caught:
        ask()
    assert type(caught.value).__name__.endswith("Error") and tried == []


EMBEDDINGS = {
    "weights": ({"weights": "1"}, "1 weight for 2"),
    "no numbers": ({"weights": "many"}, "'many'"),
    "a text": ({"projection": "ridge", "text": "a star"}, "less than 1 as"),
    "few pictures for the gap": ({"gap_pictures": PICTURES}, "2 pictures to measure the gap"),
    "weights before the gap": ({"weights": "1", "gap_pictures": torch.rand(9, 16, 16, 3)}, "1 weight for 2"),
    "masks": ({"mask": torch.ones(3, 16, 16)}, "3 masks for 2"),
    "an empty mask": ({"mask": torch.zeros(1, 16, 16)}, "black all over"),
    "two that see": ({"interrogator": True, "clip_vision": True}, "connect one of them"),
}


@pytest.mark.parametrize(("inputs", "says"), EMBEDDINGS.values(), ids=EMBEDDINGS)
@pytest.mark.parametrize("seeing", ["interrogator", "clip_vision"])
def test_an_embedding_node_refuses(models, monkeypatch, clip, inputs, says, seeing):
    monkeypatch.setattr("unrender.nodes.graph_clip.find_projection", lambda *_: torch.eye(WIDTH))
    vision = small_vision()
    given = {**EMBED, **inputs}
    for name, made in (("interrogator", _setup()), ("clip_vision", vision)):
        if name == seeing or inputs.get(name):
            given[name] = made
    tried = forbid_models(monkeypatch)
    with unchanged(models), pytest.raises(Exception, match=says) as caught:
        ImageToPromptEmbedding.execute(PICTURES, clip, **given)
    assert type(caught.value).__name__.endswith("Error") and tried == [] and vision.model.runs == []
