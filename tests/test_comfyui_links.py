"""A real ComfyUI whose nodes have their widgets' values by links, and what of it runs again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from comfyui_graphs import Graph, embedding, interrogate, micro, node, picture, shipped
from comfyui_server import Server, needs_comfyui, write_phrases
from PIL import Image
from test_comfyui_daily import FOLDER
from test_comfyui_tuning import graph_with
from unrender.core.metadata import read_metadata

pytest_plugins = ["comfyui_fixtures"]
pytestmark = needs_comfyui


def given(value: Any) -> dict[str, Any]:
    return node("ProbeAnything", value=json.dumps(value))


def runs(comfyui: Server, graph: Graph, number: str) -> bool:
    """Whether a node of it has to run."""
    run = comfyui.run(graph)
    assert run.succeeded, run.error
    return number not in run.cached


def test_comfyui_appends_once_to_a_linked_folders_texts(comfyui, photographs):
    folder = comfyui.base / "input" / "linked"
    folder.mkdir()
    photographs[0].resize((96, 96), Image.Resampling.BOX).save(folder / "one.png")
    (folder / "nowhere.png").symlink_to(folder / "nothing.png")
    graph = {
        "1": node("PrimitiveString", value="linked"),
        "2": micro(),
        "3": node("UnrenderCaptionFolder", folder=["1", 0], interrogator=["2", 0], **{**FOLDER, "existing": "append"}),
    }
    assert runs(comfyui, graph, "3")
    text = (folder / "one.txt").read_text(encoding="utf-8")
    assert not runs(comfyui, graph, "3") and (folder / "one.txt").read_text(encoding="utf-8") == text
    (folder / "one.txt").unlink()
    assert runs(comfyui, graph, "3") and (folder / "one.txt").is_file()
    photographs[1].resize((96, 96), Image.Resampling.BOX).save(folder / "two.png")
    assert runs(comfyui, graph, "3") and (folder / "two.txt").is_file()
    assert not runs(comfyui, graph, "3")


def test_comfyui_saves_and_loads_embeddings_by_linked_names(comfyui):
    saving = embedding(["2", 1], projection="pinv", clip_vision=["101", 0]) | {
        "40": node("UnrenderSavePromptEmbedding", embedding=["3", 1], name=["41", 0]),
        "41": node("PrimitiveString", value="by a link"),
    }
    assert runs(comfyui, saving, "40") and not runs(comfyui, saving, "40")
    path = comfyui.shared / "prompt_embeddings" / "by a link.safetensors"
    path.unlink()
    assert runs(comfyui, saving, "40") and path.is_file()
    loading = {
        "50": node("UnrenderLoadPromptEmbedding", name=["51", 0]),
        "51": given("by a link.safetensors"),
        "52": node("PreviewAny", source=["50", 0]),
    }
    assert runs(comfyui, loading, "50") and not runs(comfyui, loading, "50")
    saving["3"]["inputs"]["strength"] = 0.5
    comfyui.run(saving)
    assert runs(comfyui, loading, "50")
    loading["51"] = given("gone.safetensors")
    assert comfyui.run(loading).error == "There is no prompt embedding 'gone.safetensors' any more; choose another."


def test_comfyui_reads_a_linked_vocabulary_again_when_it_changes(comfyui):
    folder = comfyui.shared / "phrases" / "by a link"
    write_phrases(folder, {"flavors": "first version\n"})
    graph = {
        "1": picture("cat.png"),
        "2": micro(vocabulary=["5", 0], captioner="none"),
        "3": interrogate(["1", 0], ["2", 0], mode="classic"),
        "5": given("phrases/by a link"),
    }
    assert "first version" in comfyui.run(graph).text("3")[0] and not runs(comfyui, graph, "2")
    write_phrases(folder, {"flavors": "second version\n"})
    assert "second version" in comfyui.run(graph).text("3")[0]


@pytest.mark.parametrize(
    ("widget", "value", "said"),
    [
        ("prefix", None, "prefix takes a text, and None stands there; connect a node that gives it."),
        ("max_phrases", "x", "max phrases takes a whole number, and 'x' stands there; connect a node that gives it."),
        ("pin", None, ""),
        ("max_phrases", 3.0, ""),
    ],
)
def test_comfyui_hears_what_a_link_may_not_bring(comfyui, widget, value, said):
    graph = {"1": picture("cat.png"), "2": micro(), "5": given(value)}
    graph["3"] = interrogate(["1", 0], ["2", 0], mode="fast", **{widget: ["5", 0]})
    run = comfyui.run(graph)
    assert run.error == said and run.succeeded == (not said)


def test_comfyui_learns_a_lora_again_that_is_gone(comfyui):
    graph = graph_with(name="gone", steps=1)
    assert runs(comfyui, graph, "40") and not runs(comfyui, graph, "40")
    (path,) = comfyui.base.glob("**/loras/gone.safetensors")
    path.unlink()
    assert runs(comfyui, graph, "40") and path.is_file()


def test_comfyui_keeps_the_prompt_in_the_pictures_of_all_seeds(comfyui):
    """All are queued before the first is rendered."""
    graph = shipped("Interrogate and render again")
    graph["9"] = node("SaveImage", images=["8", 0], filename_prefix="seeds")
    prompts = []
    for seed in range(3):
        graph["7"]["inputs"]["seed"] = 100 + seed
        prompts.append(comfyui.submit(graph))
    ran = [comfyui.finished(each) for each in prompts]
    assert "3" in ran[-1].cached
    files = [comfyui.base / "output" / run.outputs["9"]["images"][0]["filename"] for run in ran]
    assert {read_metadata(file).prompt for file in files} == set(ran[0].text("3"))
