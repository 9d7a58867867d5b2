"""The nodes in a real ComfyUI; test_comfyui_embedding.py has those for prompt embeddings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_captioners
from comfyui_graphs import (
    EMBED,
    FEW_PHRASES,
    NAMES,
    in_the_graph,
    interrogate,
    micro,
    node,
    one_picture,
    picture,
    shipped,
)
from comfyui_server import FOLDER_NAME, ROOT, needs_comfyui, rendered, view, write_phrases
from PIL import Image
from unrender.core.settings import USUAL_SEARCH

pytest_plugins = ["comfyui_fixtures"]
pytestmark = needs_comfyui


def from_command_line(cache: Path, *arguments: str) -> dict:
    """What `unrender interrogate` says of one picture."""
    command = [sys.executable, "-m", "unrender", "interrogate", "--json", "--cache", str(cache), *arguments]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=one_thread)
    return json.loads(done.stdout)


def test_comfyui_loads_the_nodes_under_any_folder_name(comfyui):
    known = comfyui.get("/object_info")
    ours = {name: info for name, info in known.items() if name.startswith("Unrender")}
    assert {"UnrenderInterrogate", "UnrenderLoadInterrogator", "UnrenderInterrogatorFromClip"} <= set(ours)
    assert {info["category"] for info in ours.values()} == {"unrender"}
    log = comfyui.log.read_text(encoding="utf-8", errors="replace")
    assert not [line for line in log.splitlines() if FOLDER_NAME in line and "FAILED" in line]
    assert "Error while calling comfy_entrypoint" not in log


@pytest.mark.parametrize("name", NAMES)
def test_comfyui_finds_the_prompt_that_the_command_line_finds(comfyui, tmp_path_factory, name):
    cache = tmp_path_factory.getbasetemp() / "command-line"
    expected = from_command_line(cache, str(comfyui.base / "input" / name), "--clip", "micro", "--escape", "comfyui")
    graph = one_picture(name)
    graph["2"] = micro(search=USUAL_SEARCH)
    graph["4"] = node("PreviewAny", source=["3", 1])
    run = comfyui.run(graph)
    assert run.text("3") == [expected["prompt"]]
    assert float(run.text("4")[0]) == pytest.approx(expected["similarity"], abs=1e-5)


def test_comfyui_has_a_prompt_for_each_picture_of_a_batch(comfyui):
    graph = {str(number): picture(name) for number, name in enumerate(NAMES)}
    graph |= {
        "10": node("ImageBatch", image1=["0", 0], image2=["1", 0]),
        "11": node("ImageBatch", image1=["10", 0], image2=["2", 0]),
        "12": micro(),
        "13": interrogate(["11", 0], ["12", 0], mode="fast", max_phrases=3),
        # captions come back in, one for each picture
        "14": node("PreviewAny", source=["13", 2]),
        "15": interrogate(["11", 0], ["12", 0], mode="caption", caption=["13", 2]),
        "16": interrogate(["11", 0], ["12", 0], mode="negative", max_phrases=2),
    }
    run = comfyui.run(graph)
    prompts, captions = run.text("13"), run.text("14")
    assert len(set(prompts)) == 3
    assert run.text("15") == captions
    assert [prompt.startswith(caption) for prompt, caption in zip(prompts, captions, strict=True)] == [True] * 3
    assert len(run.text("16")) == 3 and not set(run.text("16")) & set(prompts)
    alone = comfyui.run(one_picture("astronaut.png", mode="fast", max_phrases=3))
    assert alone.text("3") == prompts[:1]


def test_comfyui_takes_every_setting(comfyui):
    graph = one_picture("coffee.png", mode="fast", prefix="mine", suffix="the end", exclude="oil paint, Mira Sol")
    graph["3"]["inputs"] |= {"artists": False, "escape": False, "max_phrases": 2}
    prompt = comfyui.run(graph).text("3")[0]
    assert prompt.startswith("mine, ") and prompt.endswith(", the end")
    phrases = prompt.split(", ")
    assert "oil paint" not in phrases and not any(phrase.startswith("by ") for phrase in phrases)


def test_comfyui_runs_again_only_what_changed(comfyui):
    folder = comfyui.shared / "phrases" / "changing"
    write_phrases(folder, {**FEW_PHRASES, "flavors": "first version (one)\n"})
    known = comfyui.get("/object_info/UnrenderLoadInterrogator")["UnrenderLoadInterrogator"]
    options = known["input"]["required"]["vocabulary"][1]["options"]
    assert "phrases/changing" in options
    graph = one_picture("cat.png", mode="classic")
    graph["2"] = micro(vocabulary="phrases/changing", captioner="none")
    first = comfyui.run(graph)
    assert "first version \\(one\\)" in first.text("3")[0]
    again = comfyui.run(graph)
    assert {"1", "2", "3"} <= again.cached and again.text("3") == first.text("3")
    write_phrases(folder, {"flavors": "second version\n"})
    changed = comfyui.run(graph)
    assert "3" not in changed.cached and "second version" in changed.text("3")[0]


def test_comfyui_keeps_tables_in_the_folder_that_extra_model_paths_names(comfyui):
    comfyui.run(one_picture("cat.png", mode="fast"))
    assert list((comfyui.shared / "tables").glob("micro-*.safetensors"))
    assert not (comfyui.base / "models" / "unrender").exists()


def test_comfyui_interrupts_a_search(comfyui):
    graph = one_picture("cat.png")
    graph["4"] = node("RepeatImageBatch", image=["1", 0], amount=500)
    graph["3"]["inputs"]["image"] = ["4", 0]
    prompt_id = comfyui.submit(graph)
    time.sleep(4)
    asked = time.monotonic()
    comfyui.post("/interrupt", {})
    run = comfyui.finished(prompt_id)
    assert run.interrupted and not run.error
    assert time.monotonic() - asked < 10
    assert comfyui.run(one_picture("cat.png", mode="caption")).succeeded


def test_comfyui_downloads_what_a_picture_alone_needs(comfyui, hub, clip_in_the_hub, tmp_path):
    """Only the picture is connected. The models have the real ones' names and places, and random weights."""
    graph = {"1": picture("cat.png"), "3": interrogate(["1", 0], None, mode="fast", max_phrases=4)}
    hub.status = {"/": 503}
    run = comfyui.run(graph)
    assert not run.succeeded
    assert "\n" not in run.error and run.error.endswith(".") and "--" not in run.error
    assert f"could not be had from {hub.url}" in run.error and "Load Interrogator" in run.error

    hub.status = {}
    captioner = tiny_captioners.blip(tmp_path / "blip")
    hub.repos["Salesforce/blip-image-captioning-large"] = {path.name: path.read_bytes() for path in captioner.iterdir()}
    run = comfyui.run(graph)
    assert len(run.text("3")[0].split(", ")) >= 4
    for repo in ("openai--clip-vit-large-patch14", "Salesforce--blip-image-captioning-large"):
        assert list((comfyui.shared / "models" / f"models--{repo}").rglob("model.safetensors"))
    asked = len(hub.requests)
    graph["3"]["inputs"]["max_phrases"] = 3
    assert comfyui.run(graph).succeeded
    assert len(hub.requests) == asked, "what is on the disk needs no network"


def test_comfyui_knows_of_every_model_and_is_given_back_all(comfyui):
    comfyui.post("/free", {"unload_models": True, "free_memory": True})
    time.sleep(1)
    assert comfyui.get("/probe/loaded") == []
    graph = one_picture("cat.png", max_phrases=2)
    assert comfyui.run(graph).succeeded
    loaded = comfyui.get("/probe/loaded")
    assert sorted(loaded) == ["UnrenderModel", "UnrenderModel"]  # the CLIP and the captioner
    graph["3"]["inputs"]["max_phrases"] = 3
    assert comfyui.run(graph).succeeded
    assert comfyui.get("/probe/loaded") == loaded
    comfyui.post("/free", {"unload_models": True})
    time.sleep(1)
    assert comfyui.get("/probe/loaded") == []
    graph["3"]["inputs"]["max_phrases"] = 4
    assert comfyui.run(graph).succeeded, "models that were unloaded come back"


def test_comfyui_interrogates_with_the_models_in_the_graph(comfyui):
    comfyui.post("/free", {"unload_models": True, "free_memory": True})
    time.sleep(1)
    run = comfyui.run(in_the_graph(768))
    phrases = {line for text in FEW_PHRASES.values() for line in text.splitlines()}
    assert any(phrase.replace("(", "\\(").replace(")", "\\)") in run.text("4")[0] for phrase in phrases)
    assert "UnrenderModel" not in comfyui.get("/probe/loaded")
    again = comfyui.run(in_the_graph(768, max_phrases=31))
    assert again.text("4") == run.text("4")


def test_comfyui_and_the_nodes_see_the_same_in_the_models_of_the_graph(comfyui):
    """LoRAs included, and the models as they were afterwards. At the vision model's own size, no one resizes."""
    text = "a cup of coffee, (seen from above), soft light"
    escaped = "a cup of coffee, \\(seen from above\\), soft light"
    graph = in_the_graph(768, mode="caption") | {
        "20": node("PrimitiveString", value=text),
        "21": node("ImageScale", image=["1", 0], upscale_method="area", width=56, height=56, crop="center"),
        "22": node("LoraLoader", model=["2", 0], clip=["2", 1], lora_name="text.safetensors"),
        "6": node("PreviewAny", source=["4", 1]),
        "7": node("PreviewAny", source=["23", 0]),
    }
    graph["22"]["inputs"] |= {"strength_model": 1.0, "strength_clip": 1.0}
    graph["4"]["inputs"] |= {"image": ["21", 0], "caption": ["20", 0]}
    found = []
    for clip in (["2", 1], ["22", 1], ["2", 1]):
        graph["5"]["inputs"]["clip"] = clip
        graph["23"] = node(
            "ProbeSimilarity",
            clip=clip,
            clip_vision=["3", 0],
            image=["21", 0],
            text=escaped,
            projected=False,
        )
        run = comfyui.run(graph)
        ours, theirs = (float(run.text(number)[0]) for number in ("6", "7"))
        assert ours == pytest.approx(theirs, abs=2e-4)
        found.append(ours)
    assert found[0] == pytest.approx(found[2], abs=1e-6)
    assert abs(found[0] - found[1]) > 1e-3, "the LoRA takes part"


def test_comfyui_and_the_nodes_see_the_same_in_sdxls_other_encoder(comfyui):
    graph = in_the_graph(64, mode="caption") | {
        "2": node("ProbeSmallSdxl", width=64),
        "20": node("PrimitiveString", value="a cup of coffee"),
        "21": node("ImageScale", image=["1", 0], upscale_method="area", width=56, height=56, crop="center"),
        "6": node("PreviewAny", source=["4", 1]),
        "7": node("PreviewAny", source=["23", 0]),
    }
    graph["5"]["inputs"]["clip"] = ["2", 0]
    graph["4"]["inputs"] |= {"image": ["21", 0], "caption": ["20", 0]}
    graph["23"] = node(
        "ProbeSimilarity", clip=["2", 0], clip_vision=["3", 0], image=["21", 0], text="a cup of coffee", projected=True
    )
    run = comfyui.run(graph)
    assert float(run.text("6")[0]) == pytest.approx(float(run.text("7")[0]), abs=2e-4)


def test_comfyui_and_the_nodes_see_the_same_in_fluxs_clip(comfyui):
    """Of which no picture can take the prompt's place, and which says so."""
    graph = in_the_graph(768, mode="caption") | {
        "20": node("PrimitiveString", value="a cup of coffee"),
        "21": node("ImageScale", image=["1", 0], upscale_method="area", width=56, height=56, crop="center"),
        "22": node("ProbeSmallFlux", clip=["2", 1]),
        "6": node("PreviewAny", source=["4", 1]),
        "7": node("PreviewAny", source=["23", 0]),
    }
    graph["5"]["inputs"]["clip"] = ["22", 0]
    graph["4"]["inputs"] |= {"image": ["21", 0], "caption": ["20", 0]}
    seen = {"clip": ["22", 0], "clip_vision": ["3", 0], "image": ["21", 0]}
    graph["23"] = node("ProbeSimilarity", **seen, text="a cup of coffee", projected=False)
    run = comfyui.run(graph)
    assert float(run.text("6")[0]) == pytest.approx(float(run.text("7")[0]), abs=2e-4)
    graph["24"] = node("UnrenderImageToPromptEmbedding", image=["21", 0], clip=["22", 0], **EMBED)
    graph["25"] = node("PreviewAny", source=["24", 0])
    assert "Stable Diffusion 1, 2 and XL alone" in comfyui.run(graph).error


def test_comfyui_refuses_models_that_do_not_belong_together(comfyui):
    run = comfyui.run(in_the_graph(1024))
    assert run.error == (
        "The vision model is ViT-H/14 and does not belong to this CLIP; "
        "load ViT-L/14 (clip-vit-large-patch14) with Load CLIP Vision."
    )


def test_comfyui_refuses_a_checkpoint_whose_projection_is_nowhere(comfyui):
    file = comfyui.base / "models" / "clip_vision" / "clip-vit-large-patch14.safetensors"
    hidden = file.rename(file.with_suffix(".hidden"))
    try:
        run = comfyui.run(in_the_graph(768, max_phrases=30) | {"3": node("ProbeSmallVision", width=768)})
    finally:
        hidden.rename(file)
    assert "without its text projection" in run.error and "a whole CLIP-L into models/clip_vision" in run.error


def test_comfyui_runs_the_workflow_that_interrogates_and_renders(comfyui):
    graph = shipped("Interrogate and render again")
    image = rendered(comfyui, graph)
    again = rendered(comfyui, {**graph, "10": node("PreviewAny", source=["3", 0])})
    assert (image == again).all()
    graph["4"]["inputs"]["text"] = ""
    assert (image != rendered(comfyui, graph)).any()


def test_comfyui_runs_the_workflow_that_interrogates(comfyui):
    graph = shipped("Interrogate a picture")
    assert comfyui.run(graph).text("2")[0]


def test_comfyui_runs_the_workflow_that_analyzes(comfyui):
    graph = shipped("Analyze a picture")
    graph["2"]["inputs"]["categories"] = "mediums, artists"  # the toy world has no movements
    run = comfyui.run(graph)
    assert run.text("2")[0].startswith("mediums (of ")
    assert view(comfyui, run.outputs["3"]["images"][0]).width >= 1000


def test_comfyui_offers_the_workflows_and_what_belongs_to_the_nodes(comfyui):
    # ComfyUI 0.3.64 serves no files of a pack whose folder's name has blanks; the script comes by the project's name
    templates = comfyui.get("/workflow_templates")[FOLDER_NAME]
    assert sorted(templates) == sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))
    assert b"registerExtension" in comfyui.get("/extensions/unrender/unrender.js")
    assert comfyui.get("/extensions/unrender/docs/UnrenderInterrogate.md").startswith(
        b"# Interrogate Picture (Image to Text)"
    )
    english = comfyui.get("/i18n")["en"]["nodeDefs"]
    assert english["UnrenderInterrogate"]["inputs"]["max_phrases"]["name"] == "max phrases"


def test_comfyui_analyzes_with_a_chart(comfyui):
    graph = {
        "1": picture("coffee.png"),
        "2": micro(),
        "3": node(
            "UnrenderAnalyze", image=["1", 0], interrogator=["2", 0], categories="mediums, colours", top=3, dark=False
        ),
        "4": node("PreviewAny", source=["3", 1]),
        "5": node("PreviewImage", images=["3", 2]),
    }
    run = comfyui.run(graph)
    analysis = json.loads(run.text("4")[0])
    assert [found["category"] for found in analysis["categories"]] == ["mediums", "colours"]
    best = analysis["categories"][0]["top"][0]
    assert f"{best['likelihood']:.1%}" in run.text("3")[0] and best["phrase"] in run.text("3")[0]
    assert view(comfyui, run.outputs["5"]["images"][0]).width >= 1000


def test_comfyui_matches_phrases(comfyui):
    graph = {
        "1": picture("coffee.png"),
        "2": micro(),
        "3": node(
            "UnrenderMatchPhrases",
            image=["1", 0],
            interrogator=["2", 0],
            phrases="a red disc\n\na blue square\na green cross",
            templates="{}; an oil painting of {}",
        ),
        "4": node("PreviewAny", source=["3", 1]),
        "5": node("PreviewAny", source=["3", 2]),
    }
    run = comfyui.run(graph)
    lines = run.text("3")[0].splitlines()
    assert len(lines) == 3 and lines[0].endswith(run.text("4")[0])
    assert lines[0].split()[0] == f"{float(run.text('5')[0]):.1%}"


def test_comfyui_analyzes_and_matches_what_clip_vision_encode_saw(comfyui):
    """As it does the picture: at the vision model's own size, no one resizes."""
    graph = in_the_graph(768) | {
        "21": node("ImageScale", image=["1", 0], upscale_method="area", width=56, height=56, crop="center"),
        "22": node("CLIPVisionEncode", clip_vision=["3", 0], image=["21", 0], crop="center"),
    }
    del graph["4"]
    asked = {"interrogator": ["5", 0], "phrases": "a red disc\na blue square", "templates": ""}
    for number, image in (("30", ["21", 0]), ("40", ["22", 0])):
        graph[number] = node("UnrenderMatchPhrases", image=image, **asked)
        graph[f"{number}1"] = node(
            "UnrenderAnalyze", image=image, interrogator=["5", 0], categories="mediums", top=2, dark=False
        )
    run = comfyui.run(graph)
    for number in ("30", "301"):
        assert run.text(number) == run.text(number.replace("3", "4", 1))


@pytest.mark.parametrize("from_graph", [False, True])
def test_comfyui_locates_a_phrase(comfyui, from_graph):
    graph = in_the_graph(768) | {"6": micro()}
    del graph["4"]
    interrogator = ["5", 0] if from_graph else ["6", 0]
    graph |= {
        "7": node("UnrenderLocate", image=["1", 0], interrogator=interrogator, phrase="a red disc", threshold=0.5),
        "8": node("MaskToImage", mask=["7", 0]),
        "9": node("PreviewImage", images=["8", 0]),
        "10": node("PreviewImage", images=["7", 1]),
    }
    run = comfyui.run(graph)
    assert run.succeeded, run.error
    mask = np.asarray(view(comfyui, run.outputs["9"]["images"][0]))
    assert set(np.unique(mask)) == {0, 255}
    photograph = Image.open(comfyui.base / "input" / "coffee.png")
    heat = view(comfyui, run.outputs["10"]["images"][0])
    assert heat.size == photograph.size == mask.shape[1::-1]
    assert (np.asarray(heat) != np.asarray(photograph)).any()
