"""Describe Picture and Describer From Server with a stand-in for ComfyUI: every kind of model, a server, and a text
encoder of the graph."""

from __future__ import annotations

from typing import Any

import pytest
import tiny_captioners
import tiny_chats
import torch
from chat_server import MODEL, ChatServer
from comfyui_nodes import node_schemas, use_standin

use_standin()

import comfy.model_management as standin_memory  # noqa: E402
from chat_fixtures import chat_server  # noqa: E402, F401
from comfy_api.latest.io import HiddenHolder  # noqa: E402
from graph_writer import GraphClip  # noqa: E402
from nodes_setting import as_batch, models_fixture, server_fixture  # noqa: E402, F401
from PIL import Image  # noqa: E402
from unrender.core.describe import load_describer  # noqa: E402
from unrender.core.describe.endpoint import key  # noqa: E402
from unrender.core.describe.endpoint.allowed import NAMED  # noqa: E402
from unrender.core.describe.styles import STYLES  # noqa: E402
from unrender.core.errors import MissingPackageError, ModelError, SettingsError  # noqa: E402
from unrender.core.settings import CaptionSettings  # noqa: E402
from unrender.core.transformers_access import transformers_version  # noqa: E402

MAKERS = {**tiny_captioners.MAKERS, **tiny_chats.CHATS}
PICTURES = [Image.effect_noise((40, 30), 90).convert("RGB"), Image.new("RGB", (50, 20), "red")]
ASKED = "describe this picture in one sentence"
SECRET = "sk-nobody-may-see-this"
needs_micro_chat = pytest.mark.skipif(transformers_version() < (4, 46), reason="this transformers reads no micro-chat")


def defaults(node: str) -> dict[str, Any]:
    return {each.id: each.default for each in node_schemas()[node].inputs if hasattr(each, "default")}


def run(pictures: list[Image.Image], **values: Any) -> Any:
    from unrender.nodes.describing import DescribePicture
    from unrender.nodes.pictures import as_image

    inputs = {**defaults("UnrenderDescribePicture"), "model": "micro-chat", **values}
    images = [as_image(picture) for picture in pictures]
    return DescribePicture.execute(image=images, **{name: [value] for name, value in inputs.items()})


def from_server(address: str, **values: Any) -> Any:
    from unrender.nodes.describing import DescriberServer

    return DescriberServer.execute(**{**defaults("UnrenderDescriberServer"), "address": address, **values}).args[0]


# --- models ---


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_each_architecture_says_in_the_node_what_core_has_it_say(models, server, name):
    from unrender.nodes.describing import DescribePicture

    folder, choice = MAKERS[name](models / "unrender" / name), f"unrender/{name}"
    assert choice in next(each for each in DescribePicture.define_schema().inputs if each.id == "model").options
    asked = "<CAPTION>" if "florence" in name else "" if name in ("blip", "git") else ASKED
    texts = run(PICTURES, model=choice, instruction=asked, max_length=9, escape=False).args[0]
    told = CaptionSettings(instruction=asked, max_length=9, style="paragraph", trim=True)
    assert texts == load_describer(str(folder), "cpu").caption(PICTURES, told)
    assert len(standin_memory.loaded) == 1, "its weights are in ComfyUI's care"


@needs_micro_chat
def test_styles_differ_and_brackets_are_escaped(models, server):
    texts = {style: run(PICTURES[:1], style=style).args[0][0] for style in STYLES}
    assert len(set(texts.values())) >= 5 and all(texts.values())
    clip = GraphClip("A cat (asleep).", "A cat (asleep).")
    assert run(PICTURES[:1], clip=clip).args[0] == ["A cat \\(asleep\\)."]
    assert run(PICTURES[:1], clip=clip, escape=False).args[0] == ["A cat (asleep)."]


@needs_micro_chat
def test_the_seed_draws_and_says_nothing_without_a_temperature(models, server):
    drawn = [run(PICTURES[:1], temperature=1.5, seed=seed, escape=False).args[0][0] for seed in (1, 2, 3, 1)]
    assert drawn[0] == drawn[3] and len(set(drawn)) > 1
    assert run(PICTURES[:1], seed=2**64 - 1, temperature=1.0).args[0][0]
    assert run(PICTURES, seed=5).args == run(PICTURES, seed=6).args


@needs_micro_chat
def test_micro_is_called_a_toy(models, server):
    for name in ("micro", "micro-chat"):
        assert run(PICTURES[:1], model=name).ui["unrender_notes"][0].endswith("means nothing. Choose another model.")


@needs_micro_chat
def test_fewer_bits_need_cuda_make_room_and_are_not_kept(models, server, monkeypatch):
    from unrender.nodes import models as nodes_models
    from unrender.nodes.describing import DescribePicture

    with pytest.raises(SettingsError, match=r"^quantization is 4bit, .* CUDA alone.*; choose none\.?"):
        run(PICTURES[:1], quantization="4bit")
    node, asked = DescribePicture(), []

    def loaded(*values):
        asked.append((values, list(standin_memory.loaded)))
        return load_describer(*values[:6])

    monkeypatch.setattr(nodes_models, "load_describer", loaded)
    standin_memory.loaded.append("another model")
    run(PICTURES[:1], quantization="8bit")
    (values, there), *_ = asked
    assert values[6] == "8bit" and there == [], "ComfyUI's models have made room for what it cannot move"
    assert standin_memory.loaded == [] and not nodes_models._kept().chosen
    del node


@needs_micro_chat
def test_the_graph_says_on_which_device_it_is_to_be(models, server, monkeypatch):
    from unrender.nodes import host
    from unrender.nodes import models as nodes_models

    asked = []
    monkeypatch.setattr(host, "compute_device", lambda: torch.device("cuda", 1))

    def loaded(*values):
        asked.append(values)
        raise ModelError("That will do")

    monkeypatch.setattr(nodes_models, "load_describer", loaded)
    with pytest.raises(ModelError):
        run(PICTURES[:1])
    name, device, dtype, _, _, wait, _ = asked[0]
    assert (name, device, dtype, wait) == ("micro-chat", "cuda:1", None, True)


@pytest.mark.parametrize(
    ("name", "cure"), [("unrender/gone", r"give another as model\.$"), ("blip-huge", "choose one that model lists")]
)
def test_errors_name_the_nodes_own_inputs(models, server, name, cure):
    with pytest.raises(ModelError, match=cure) as caught:
        run(PICTURES[:1], model=name)
    assert "Load Interrogator" not in str(caught.value) and "--" not in str(caught.value)


# --- a server ---


def test_a_server_describes_and_is_told_no_more_than_it_needs(models, server, chat_server: ChatServer):  # noqa: F811
    described = from_server(chat_server.base, model=MODEL, longest_side=64)
    out = run([Image.new("RGB", (300, 150), "red")], describer=described, style="sentence", system="Be kind.", seed=9)
    (asked,) = chat_server.chats
    assert out.args[0] == ["A red circle on a blue ground."] and out.ui == {"text": out.args[0]}
    assert asked.picture.size == (64, 32) and asked.text == STYLES["sentence"].instruction
    assert asked.json["model"] == MODEL and asked.json["seed"] == 9
    assert asked.json["messages"][0] == {"role": "system", "content": "Be kind."}
    assert standin_memory.loaded == []


@pytest.mark.parametrize(
    ("address", "model"),
    [("{base}", ""), ("{base}/", f" {MODEL} "), (f"{{base}}#{MODEL}", ""), ("{base}#another", MODEL)],
)
def test_a_model_is_named_beside_the_address_or_in_it_or_is_the_only_one(
    models,
    server,
    chat_server: ChatServer,  # noqa: F811
    address,
    model,
):
    described = from_server(address.format(base=chat_server.base), model=model)
    run(PICTURES[:1], describer=described)
    assert chat_server.chats[0].json["model"] == MODEL


def test_the_key_is_the_environments_and_in_nothing_that_is_kept(
    models,
    server,
    chat_server: ChatServer,  # noqa: F811
    monkeypatch,
):
    from unrender.nodes.describing import DescribePicture

    monkeypatch.setenv(key.KEY, f"{chat_server.base} {SECRET}")
    graph = {"5": {"class_type": "UnrenderDescribePicture", "inputs": {}}}
    monkeypatch.setattr(DescribePicture, "hidden", HiddenHolder("5", graph))
    described = from_server(chat_server.base, model=MODEL)
    out = run(PICTURES[:1], describer=described)
    assert chat_server.chats[0].headers["Authorization"] == f"Bearer {SECRET}"
    assert SECRET not in repr((described, vars(described), out.args, out.ui, graph, server.sent))
    assert graph["5"]["_meta"]
    inputs = [each.id for each in node_schemas()["UnrenderDescriberServer"].inputs]
    assert not [name for name in inputs if "key" in name.replace("keep", "") and name != "keep_alive"]


@pytest.mark.parametrize(
    "address", ["http://192.0.2.7:11434/v1", "https://api.example.com/v1", "http://127.0.0.1.example.com/v1"]
)
def test_a_workflow_sends_nothing_elsewhere_unless_who_started_comfyui_said_so(models, server, monkeypatch, address):
    monkeypatch.delenv(NAMED, raising=False)
    with pytest.raises(ModelError, match=f"not on this machine.*start ComfyUI with the address in {NAMED}"):
        from_server(address)
    monkeypatch.setenv(NAMED, f"{address}, https://other.example.com/v1")
    assert from_server(address).name == address
    with pytest.raises(ModelError, match="not on this machine"):
        from_server(address.replace("/v1", "/v2"))


def test_errors_name_the_nodes_own_inputs_where_a_server_is_asked(
    models,
    server,
    chat_server: ChatServer,  # noqa: F811
    monkeypatch,
):
    with pytest.raises(ModelError, match=r"give one such as http://127\.0\.0\.1:11434/v1#MODEL as address\.$"):
        from_server("localhost:11434")
    chat_server.models = ["one", "two"]
    with pytest.raises(ModelError, match=r"has 2 models.*as address in Describer From Server\.$"):
        run(PICTURES[:1], describer=from_server(chat_server.base))
    with pytest.raises(ModelError, match=r"refused.*start the server\.$"):
        run(PICTURES[:1], describer=from_server("http://127.0.0.1:9/v1", model="any", retries=0))
    from unrender.core.describe.endpoint import endpoint

    monkeypatch.setattr(endpoint.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"needs openai; run `.*openai.*` and restart ComfyUI"):
        from_server(chat_server.base)


# --- a text encoder of the graph ---


def test_a_text_encoder_of_the_graph_is_asked_as_generate_text_asks_it(models, server):
    clip = GraphClip("<think>Hm.</think>**A cat.**", "A dog.")
    out = run(PICTURES, clip=clip, style="sentence", system="Be kind.", repetition=1.2, seed=3)
    assert out.args[0] == ["A cat.", "A dog."]
    first, second = clip.asked
    assert first["text"] == f"Be kind.\n\n{STYLES['sentence'].instruction}"
    assert (tuple(first["image"].shape), tuple(second["image"].shape)) == ((1, 30, 40, 3), (1, 20, 50, 3))
    assert (first["skip_template"], first["min_length"], first["thinking"]) == (False, 1, False)
    assert (first["do_sample"], first["max_length"], first["repetition_penalty"]) == (False, 80, 1.2)
    drawn = GraphClip("A cat.")
    run(PICTURES[:1], clip=drawn, temperature=0.6, top_p=0.9, seed=7, max_length=12)
    assert {name: drawn.asked[0][name] for name in ("do_sample", "temperature", "top_p", "seed", "max_length")} == {
        **{"do_sample": True, "temperature": 0.6, "top_p": 0.9},
        **{"seed": 7, "max_length": 12},
    }
    assert standin_memory.loaded == [], "no model of ours"


def test_what_its_length_has_cut_ends_with_a_whole_sentence(models, server):
    said = "A cat sits. It sleeps on"
    assert run(PICTURES[:1], clip=GraphClip(said), max_length=len(said)).args[0] == ["A cat sits."]
    assert run(PICTURES[:1], clip=GraphClip(said), max_length=len(said) + 1).args[0] == [said]


@pytest.mark.parametrize(
    ("clip", "problem"),
    [
        (GraphClip(sees=False), "reads texts alone"),
        (GraphClip(writes=False), "writes no texts"),
        (object(), "writes no texts"),
    ],
)
def test_a_text_encoder_that_cannot_is_refused_in_a_sentence(models, server, clip, problem):
    with pytest.raises(SettingsError, match=f"{problem}.*such as Gemma 3.*, or give another as model"):
        run(PICTURES[:1], clip=clip)


def test_one_of_both_describes(models, server, chat_server: ChatServer):  # noqa: F811
    with pytest.raises(SettingsError, match="leave one of them out"):
        run(PICTURES[:1], clip=GraphClip("A cat."), describer=from_server(chat_server.base))
    assert chat_server.asked == []
