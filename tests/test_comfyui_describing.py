"""Tag Picture, Describe Picture and Describer From Server in a real ComfyUI."""

from __future__ import annotations

import json
import time

import pytest
from chat_server import MODEL, ChatServer
from comfyui_graphs import DESCRIBE, NAMES, SERVER, TAG, node, picture, shipped
from comfyui_server import needs_comfyui
from test_comfyui import from_command_line
from unrender.core.prompt_syntax import escape

pytest_plugins = ["comfyui_fixtures", "chat_fixtures"]
pytestmark = needs_comfyui


def described(image: list, **settings) -> dict:
    return node("UnrenderDescribePicture", image=image, **{**DESCRIBE, **settings})


def by_server(address: str) -> dict:
    return {
        "1": picture("coffee.png"),
        "2": node("UnrenderDescriberServer", **{**SERVER, "address": address, "model": MODEL, "longest_side": 128}),
        "3": described(["1", 0], describer=["2", 0]),
    }


@pytest.mark.parametrize("name", NAMES)
def test_comfyui_tags_and_describes_as_the_command_line_does(comfyui, tmp_path_factory, name):
    graph = {
        "1": picture(name),
        "2": node("UnrenderTagPicture", image=["1", 0], **TAG),
        "3": node("PreviewAny", source=["2", 1]),
        "4": node("PreviewAny", source=["2", 2]),
        "5": node("PreviewAny", source=["2", 3]),
        "6": described(["1", 0]),
    }
    run = comfyui.run(graph)
    file, cache = str(comfyui.base / "input" / name), tmp_path_factory.getbasetemp() / "command-line"
    asked = (file, "--clip", "micro")
    tags = from_command_line(cache, *asked, "--mode", "tags", "--tagger", "micro-tagger")
    assert run.text("2") == [escape(tags["prompt"], "comfyui")]
    found = json.loads(run.text("5")[0])
    assert [tag["name"] for tag in found] == [tag["name"] for tag in tags["tags"]]
    assert [tag["confidence"] for tag in found] == pytest.approx([tag["confidence"] for tag in tags["tags"]], abs=1e-5)
    rated = {tag["name"]: tag["confidence"] for tag in found if tag["category"] == "rating"}
    assert run.text("4") == [max(rated, key=rated.__getitem__)]
    words = from_command_line(
        cache, *asked, "--mode", "caption", "--captioner", "micro-chat", "--style", "sentence", "--trim"
    )
    assert run.text("6") == [escape(words["prompt"], "comfyui")]
    assert comfyui.run(graph).cached >= {"2", "6"}


def test_comfyui_describes_a_batch_and_draws_by_seed(comfyui):
    graph = {str(number): picture(name) for number, name in enumerate(NAMES)}
    graph |= {
        "10": node("ImageBatch", image1=["0", 0], image2=["1", 0]),
        "11": node("ImageBatch", image1=["10", 0], image2=["2", 0]),
        "12": node("UnrenderTagPicture", image=["11", 0], **TAG),
        "13": described(["11", 0], temperature=1.5, seed=1),
    }
    first = comfyui.run(graph)
    assert len(first.text("12")) == len(first.text("13")) == 3
    graph["13"]["inputs"]["seed"] = 2
    other = comfyui.run(graph)
    assert other.text("13") != first.text("13") and "12" in other.cached
    graph["13"]["inputs"]["seed"] = 1
    assert comfyui.run(graph).text("13") == first.text("13")


def test_comfyui_keeps_the_models_from_run_to_run_and_is_given_them_back(comfyui):
    comfyui.post("/free", {"unload_models": True, "free_memory": True})
    time.sleep(1)
    graph = {
        "1": picture("cat.png"),
        "2": node("UnrenderTagPicture", image=["1", 0], **TAG),
        "3": described(["1", 0]),
        "4": described(["1", 0], style="tags"),
    }
    assert comfyui.run(graph).succeeded
    loaded = comfyui.get("/probe/loaded")
    assert loaded == ["UnrenderModel", "UnrenderModel"], "the tagger, and one model for both"
    for node_id, change in (("2", {"most": 3}), ("3", {"style": "words"})):
        graph[node_id]["inputs"] |= change
    assert comfyui.run(graph).succeeded
    assert comfyui.get("/probe/loaded") == loaded and comfyui.get("/probe/alive") == 2
    graph["3"]["inputs"]["model"] = graph["4"]["inputs"]["model"] = "micro"
    assert comfyui.run(graph).succeeded
    assert comfyui.get("/probe/alive") == 2, "what no node names any more is let go of"
    comfyui.post("/free", {"unload_models": True, "free_memory": True})
    time.sleep(2)
    assert comfyui.get("/probe/loaded") == [] and comfyui.get("/probe/alive") == 0


def test_comfyui_asks_a_server_on_this_machine_alone(comfyui, chat_server: ChatServer):
    run = comfyui.run(by_server(chat_server.base))
    assert run.text("3") == ["A red circle on a blue ground."]
    (asked,) = chat_server.chats
    assert max(asked.picture.size) == 128 and "Authorization" not in asked.headers
    refused = comfyui.run(by_server("http://192.0.2.7:11434/v1"))
    assert "http://192.0.2.7:11434/v1 is not on this machine" in refused.error and refused.error.endswith(".")


def test_comfyui_says_what_a_text_encoder_cannot(comfyui):
    graph = {
        "1": picture("coffee.png"),
        "2": node("CheckpointLoaderSimple", ckpt_name="random.safetensors"),
        "3": described(["1", 0], clip=["2", 1]),
    }
    assert comfyui.run(graph).error.startswith("What is connected to clip writes no texts; ")


def test_comfyui_runs_the_workflow_that_tags_and_describes(comfyui):
    run = comfyui.run(shipped("Tag and describe a picture"))
    assert run.text("2")[0] and run.text("3")[0]
