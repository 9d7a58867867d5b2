"""The workflows in the template browser: what they name can be had and is used, and a real ComfyUI has their nodes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from comfyui_graphs import graphs_links, known_inputs
from comfyui_nodes import ROOT
from comfyui_server import needs_comfyui

pytest_plugins = ["comfyui_fixtures"]

WORKFLOWS = sorted((ROOT / "workflows").glob("*.json"))
FLUX = "FLUX Redux and prompt"
RUN = 0
"""The mode of a node that is neither muted nor bypassed."""

every_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def read(path: Any) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


@every_workflow
def test_every_file_that_is_named_is_used_and_has_a_place_to_be_had_from(path):
    """Who opens a template is asked to download what it names, muted or not."""
    for drawn in read(path)["nodes"]:
        named = {value for value in drawn.get("widgets_values") or () if str(value).endswith(".safetensors")}
        models = drawn["properties"].get("models", [])
        assert named == {model["name"] for model in models}
        assert drawn["mode"] == RUN or not named
        for model in models:
            place, _, _ = model["url"].partition("?")
            assert place.startswith("https://huggingface.co/") and place.endswith(f"/{model['name']}")
            assert model["directory"]


@every_workflow
def test_both_forms_have_the_same_links_and_both_ends_know_them(path):
    page, graph = read(path), read(path.parent / "api" / path.name)
    nodes = {drawn["id"]: drawn for drawn in page["nodes"]}
    running = set()
    for number, origin, out, target, into, kind in page["links"]:
        made, taken = nodes[origin]["outputs"][out], nodes[target]["inputs"][into]
        assert number in made["links"] and taken["link"] == number
        assert kind == made["type"] and kind in taken["type"].split(",")
        if nodes[target]["mode"] == RUN:
            running.add((str(origin), out, str(target), taken["name"]))
    assert running == graphs_links(graph)


def test_flux_hears_redux_and_the_prompt_together():
    graph = read(ROOT / "workflows" / "api" / f"{FLUX}.json")
    kinds = {step["class_type"]: number for number, step in graph.items()}
    links = {(source, target, name) for source, _, target, name in graphs_links(graph)}
    assert {
        (kinds["UnrenderInterrogate"], kinds["CLIPTextEncode"], "text"),
        (kinds["StyleModelLoader"], kinds["StyleModelApply"], "style_model"),
        (kinds["CLIPVisionEncode"], kinds["StyleModelApply"], "clip_vision_output"),
        (kinds["StyleModelApply"], kinds["KSampler"], "positive"),
    } <= links
    assert "UnrenderImageToPromptEmbedding" not in kinds, "which has nothing for FLUX"


@needs_comfyui
@every_workflow
def test_comfyui_has_every_node_as_a_workflow_takes_it(comfyui, path):
    known = comfyui.get("/object_info")
    for number, step in read(path.parent / "api" / path.name).items():
        inputs = known_inputs(known[step["class_type"]])
        assert set(step["inputs"]) <= set(inputs), (number, step["class_type"])
        assert {*known[step["class_type"]]["input"].get("required", {})} <= set(step["inputs"])
    for drawn in read(path)["nodes"]:
        if drawn["type"] == "MarkdownNote":  # the page's own
            continue
        inputs = known_inputs(known[drawn["type"]])
        for each in drawn["inputs"]:
            assert inputs.get(each["name"], each["type"]) == each["type"], drawn["type"]
        assert [each["type"] for each in drawn["outputs"]] == known[drawn["type"]]["output"][: len(drawn["outputs"])]
