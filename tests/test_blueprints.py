"""Subgraph blueprints: as ComfyUI's page saves them, fitting the nodes' schemas, and run by a real ComfyUI."""

from __future__ import annotations

import json
from typing import Any

import pytest
from comfyui_graphs import BLUEPRINTS, blueprint, known_inputs, micro, node, picture, unfolded
from comfyui_nodes import node_schemas, use_standin
from comfyui_server import FOLDER_NAME, needs_comfyui, view

use_standin()

pytest_plugins = ["comfyui_fixtures"]

INPUTS, OUTPUTS = -10, -20
LONGEST_FOUND = 30
"""Letters of a title in which the page's search looks for a word."""
TOGETHER = "Image to Prompt to Image (Unrender)"

every_blueprint = pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)


def whole(path: Any) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_there_is_one_for_each_way():
    assert [path.stem for path in BLUEPRINTS] == [
        "FLUX Redux and Prompt (Unrender)",
        TOGETHER,
        "Language Model to Prompt (Unrender)",
    ]


@every_blueprint
def test_a_blueprint_is_one_node_and_what_is_in_it(path):
    page, inside = whole(path), blueprint(path.stem)
    [outer] = page["nodes"]
    assert len(page["definitions"]["subgraphs"]) == 1 and outer["type"] == inside["id"]
    assert outer["title"] == inside["name"] == path.stem, "the page names it by its file"
    assert path.stem.index("(Unrender)") <= LONGEST_FOUND, "a word further on is not found"
    for kind in ("inputs", "outputs"):
        assert [(each["name"], each["type"]) for each in outer[kind]] == [
            (each["name"], each["type"]) for each in inside[kind]
        ]
    assert page["extra"]["BlueprintDescription"] == inside["description"] and inside["description"].endswith(".")
    assert page["extra"]["BlueprintSearchAliases"] and inside["category"] == "Unrender"


@every_blueprint
def test_every_link_has_two_ends_of_one_type(path):
    inside = blueprint(path.stem)
    nodes = {drawn["id"]: drawn for drawn in inside["nodes"]}
    given = {number: (slot["type"], slot["linkIds"]) for number, slot in enumerate(inside["inputs"])}
    taken = {number: (slot["type"], slot["linkIds"]) for number, slot in enumerate(inside["outputs"])}
    for link in inside["links"]:
        origin, target = link["origin_id"], link["target_id"]
        if origin == INPUTS:
            made, out = given[link["origin_slot"]]
        else:
            slot = nodes[origin]["outputs"][link["origin_slot"]]
            made, out = slot["type"], slot["links"]
        if target == OUTPUTS:
            wanted, [into] = taken[link["target_slot"]]
        else:
            slot = nodes[target]["inputs"][link["target_slot"]]
            wanted, into = slot["type"], slot["link"]
        assert link["id"] in out and link["id"] == into and made in wanted.split(",") and made == link["type"]
    ends = [each["link"] for drawn in inside["nodes"] for each in drawn["inputs"] if each["link"] is not None]
    assert sorted([*ends, *(link for _, links in taken.values() for link in links)]) == sorted(
        link["id"] for link in inside["links"]
    )


@every_blueprint
def test_our_nodes_in_blueprints_are_as_their_schemas_say(path):
    schemas, ours = node_schemas(), 0
    for drawn in blueprint(path.stem)["nodes"]:
        schema = schemas.get(drawn["type"])
        if schema is None:
            assert not drawn["type"].startswith("Unrender")
            continue
        ours += 1
        inputs = {each.id: each for each in schema.inputs}
        assert {each["name"]: each["type"] for each in drawn["inputs"]} == {
            name: each.kind for name, each in inputs.items()
        }
        widgets = {
            name: each.default
            for name, each in inputs.items()
            if hasattr(each, "default") and not getattr(each, "force_input", False)
        }
        assert [each["name"] for each in drawn["inputs"] if "widget" in each] == list(widgets)
        assert drawn["widgets_values"] == list(widgets.values()), "people expect the defaults"
        assert [each["name"] for each in drawn["outputs"]] == [each.display_name for each in schema.outputs]
    assert ours


@every_blueprint
def test_no_widget_is_without_a_value(path):
    """ComfyUI would take it for the word "None", in a prompt for one."""
    assert all(None not in drawn["widgets_values"] for drawn in blueprint(path.stem)["nodes"])


@every_blueprint
def test_every_file_that_is_named_has_a_place_to_be_had_from(path):
    for drawn in blueprint(path.stem)["nodes"]:
        named = {value for value in drawn["widgets_values"] if str(value).endswith(".safetensors")}
        models = drawn["properties"].get("models", [])
        assert named == {model["name"] for model in models}
        for model in models:
            assert model["url"].startswith("https://huggingface.co/") and model["url"].endswith(f"/{model['name']}")
            assert model["directory"]


# --- a real ComfyUI ---


@needs_comfyui
@every_blueprint
def test_comfyui_has_every_node_as_a_blueprint_takes_it(comfyui, path):
    known = comfyui.get("/object_info")
    for drawn in blueprint(path.stem)["nodes"]:
        if drawn["type"] not in known:
            assert drawn["type"] == "TextGenerate" and "TextGenerate" not in known, "which came in 2026"
            continue
        inputs = known_inputs(known[drawn["type"]])
        for each in drawn["inputs"]:
            assert inputs[each["name"]] == each["type"], drawn["type"]
        assert [each["type"] for each in drawn["outputs"]] == known[drawn["type"]]["output"][: len(drawn["outputs"])]


@needs_comfyui
def test_comfyui_offers_the_blueprints(comfyui):
    try:
        offered = comfyui.get("/global_subgraphs")
    except OSError:
        pytest.skip("this ComfyUI has no blueprints")
    ours = {
        entry["name"]: number
        for number, entry in offered.items()
        if entry["info"]["node_pack"] == f"custom_nodes.{FOLDER_NAME}"
    }
    assert sorted(ours) == [path.stem for path in BLUEPRINTS]
    for path in BLUEPRINTS:
        assert json.loads(comfyui.get(f"/global_subgraphs/{ours[path.stem]}")["data"]) == whole(path)


@needs_comfyui
def test_comfyui_runs_the_blueprint_from_picture_to_picture(comfyui):
    graph = unfolded(blueprint(TOGETHER), image=["100", 0], interrogator=["101", 0])
    replaced = {
        "CheckpointLoaderSimple": {"ckpt_name": "random.safetensors"},
        "EmptyLatentImage": {"width": 64, "height": 64},
        "KSampler": {"steps": 2},
        "UnrenderInterrogate": {"mode": "fast", "max_phrases": 3},
    }
    for step in graph.values():
        step["inputs"] |= replaced.get(step["class_type"], {})
    number = {step["class_type"]: each for each, step in graph.items()}
    graph |= {
        "100": picture("coffee.png"),
        "101": micro(),
        "102": node("PreviewImage", images=[number["VAEDecode"], 0]),
    }
    run = comfyui.run(graph)
    assert run.text(number["UnrenderInterrogate"])[0]
    assert view(comfyui, run.outputs["102"]["images"][0]).size == (64, 64)
