"""What our nodes find stays in the files of the pictures that ComfyUI saves, and is read again from there."""

from __future__ import annotations

import io
import json

import pytest
from comfyui_graphs import INTERROGATE
from nodes_setting import as_batch, micro_setup, models_fixture, server_fixture  # noqa: F401
from PIL import Image, PngImagePlugin
from unrender.core.metadata import read_metadata
from unrender.core.metadata.graph import OWN_NAMES
from unrender.nodes.extension import NODES

ONCE = {**INTERROGATE, **dict.fromkeys(("artists", "movements", "sites", "flavors"), False), "max_phrases": 1}


def saved(graph):
    """As ComfyUI's SaveImage does it: with the graph that the nodes were given."""
    info, data = PngImagePlugin.PngInfo(), io.BytesIO()
    info.add_text("prompt", json.dumps(graph))
    Image.new("RGB", (8, 8)).save(data, "PNG", pnginfo=info)
    return read_metadata(data.getvalue())


def graph_with(kind, key="60"):
    sampling = {"seed": 1, "steps": 2, "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["5", 0]}
    return {
        "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "x"}},
        "3": {"class_type": "KSampler", "inputs": sampling},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 8}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": [key, 0], "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "watermark", "clip": ["4", 1]}},
        key: {"class_type": kind, "inputs": {}},
    }


@pytest.fixture
def run_in(monkeypatch):
    """Runs a node as ComfyUI does, as one of a graph."""

    def run(node, graph, key="60", **inputs):
        from comfy_api.latest.io import HiddenHolder

        monkeypatch.setattr(node, "hidden", HiddenHolder(key, graph))
        return node.execute(**inputs)

    return run


def interrogated(run_in, graph, pictures, key="60"):
    from unrender.nodes.interrogate import Interrogate

    inputs = {name: [value] for name, value in {**ONCE, "mode": "fast", "interrogator": micro_setup()}.items()}
    return run_in(Interrogate, graph, key, image=[as_batch(pictures)], **inputs).args[0]


@pytest.mark.parametrize("key", ["60", "12:3"])
def test_a_prompt_that_was_found_is_read_again(models, server, photographs, run_in, key):
    graph = graph_with("UnrenderInterrogate", key)
    before = saved(graph)
    assert before.prompt == "" and "which the file does not hold" in before.notes[0]
    prompt = interrogated(run_in, graph, photographs[:1], key)[0]
    found = saved(graph)
    assert found.prompt == prompt
    assert "Interrogate Picture" in found.notes[0] and "found when it ran" in found.notes[0]
    assert json.loads(dict(found.texts)["prompt"]) == graph


def test_one_of_several_prompts_is_not_taken_for_the_pictures_own(models, server, photographs, run_in):
    graph = graph_with("UnrenderInterrogate")
    prompts = interrogated(run_in, graph, photographs)
    assert len(set(prompts)) > 1
    found = saved(graph)
    assert found.prompt == ""
    assert "one of those" in found.notes[0] and all(prompt in found.notes[0] for prompt in prompts)


def queued_again(monkeypatch, graph, number="60"):
    """ComfyUI asks whether the node of a new graph is to run, and knows that it is not."""
    from comfy_execution import progress, utils
    from unrender.nodes.interrogate import Interrogate

    registry = progress.ProgressRegistry("second", progress.DynamicPrompt(graph))
    monkeypatch.setattr(progress, "running", [registry])
    monkeypatch.setattr(utils, "asked_of", [utils.ExecutionContext("second", number)])
    assert Interrogate.fingerprint_inputs(image=None, mode="fast") is None


def test_a_prompt_of_a_run_before_is_kept_where_the_node_need_not_run(models, server, photographs, run_in, monkeypatch):
    """Another seed, and all but the sampler is known."""
    first, second, other = (graph_with("UnrenderInterrogate") for _ in range(3))
    prompt = interrogated(run_in, first, photographs[:1])[0]
    second["3"]["inputs"]["seed"] = 2
    queued_again(monkeypatch, second)
    assert saved(second).prompt == prompt
    other["60"]["inputs"]["max_phrases"] = 9
    queued_again(monkeypatch, other)
    assert saved(other).prompt == "", "what such a node finds is not known yet"
    circle = graph_with("UnrenderInterrogate")
    circle["60"]["inputs"]["image"] = ["3", 0]
    queued_again(monkeypatch, circle)


def test_what_was_read_from_a_file_is_kept_with_its_seed(models, server, run_in, tmp_path, monkeypatch):
    from unrender.nodes import reading

    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a castle\nNegative prompt: fog\nSteps: 4, Seed: 77, Model: dream")
    Image.new("RGB", (8, 8)).save(tmp_path / "made.png", pnginfo=info)
    monkeypatch.setattr(reading.host, "input_file", lambda name: tmp_path / name)
    graph = graph_with("UnrenderReadImagePrompt")
    graph["7"]["inputs"]["text"], graph["3"]["inputs"]["seed"] = ["60", 1], ["60", 2]
    run_in(reading.ReadImagePrompt, graph, image="made.png")
    found = saved(graph)
    assert (found.prompt, found.negative_prompt, found.seed) == ("a castle", "fog", "77")
    assert [note.split(":")[0] for note in found.notes] == ["prompt", "negative prompt", "seed"]


@pytest.mark.parametrize("graph", [None, {}, {"60": None}, {"60": {"_meta": []}}, []])
def test_a_graph_of_another_form_is_left_alone(models, server, photographs, run_in, graph):
    before = json.dumps(graph)
    assert interrogated(run_in, graph, photographs[:1])
    assert json.dumps(graph) == before


def test_a_note_calls_our_nodes_what_the_page_calls_them():
    names = {schema.node_id: schema.display_name for schema in (node.define_schema() for node in NODES)}
    assert {kind: names[kind] for kind in OWN_NAMES} == OWN_NAMES
