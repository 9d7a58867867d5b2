"""Pictures in a prompt's place, in a real ComfyUI."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
from comfyui_graphs import EMBED, Graph, embedding, node, picture, shipped, unmuted
from comfyui_server import Server, needs_comfyui, rendered

pytest_plugins = ["comfyui_fixtures"]
pytestmark = needs_comfyui


def test_comfyui_varies_a_picture_without_words(comfyui, clip_in_the_hub):
    """Only the picture and a checkpoint are there; the CLIP is downloaded, unless another test had it downloaded."""
    graph = shipped("Image variation without text")
    del graph["3"]["inputs"]["clip_vision"]
    image = rendered(comfyui, graph)
    assert list((comfyui.shared / "models").glob("models--openai--clip-vit-large-patch14/**/model.safetensors"))
    again = {**graph, "3": {**graph["3"], "inputs": {**graph["3"]["inputs"], "weights": "1"}}}
    assert (rendered(comfyui, again) == image).all()
    without = {**graph, "7": {**graph["7"], "inputs": {**graph["7"]["inputs"], "positive": ["5", 0]}}}
    assert (rendered(comfyui, without) != image).any()
    other = {**graph, "2": picture("cat.png")}
    assert (rendered(comfyui, other) != image).any()


@pytest.mark.parametrize("name", ["Image variation without text", "Edit a picture with words", "Blend two pictures"])
def test_comfyui_runs_the_workflows_with_prompt_embeddings(comfyui, name):
    graph = shipped(name)
    if name == "Blend two pictures":
        graph["4"] = picture("cat.png")
    image = rendered(comfyui, graph)
    changed = {**graph, "7": {**graph["7"], "inputs": {**graph["7"]["inputs"], "positive": ["5", 0]}}}
    assert (rendered(comfyui, changed) != image).any()
    assert (rendered(comfyui, {**graph, "1": node("CheckpointLoaderSimple", **graph["1"]["inputs"])}) == image).all()


def test_comfyui_runs_its_own_way_beside_ours(comfyui):
    """The muted branch of the workflow, which is for SDXL; any checkpoint takes its conditioning."""
    name = "Image variation without text"
    graph = {**shipped(name), **unmuted(name)}
    assert [graph[number]["class_type"] for number in ("14", "15", "17")] == [
        *("unCLIPConditioning", "KSampler", "PreviewImage")
    ]
    graph["11"] = node("ProbeSmallVision", width=1280)
    graph["15"]["inputs"]["steps"] = 2
    run = comfyui.run(graph)
    assert run.succeeded, run.error
    assert run.outputs["17"]["images"] and run.outputs["9"]["images"]


def test_comfyui_interrupts_the_learning_of_a_projection(comfyui):
    comfyui.post("/probe/learn_from/40000", {})
    prompt_id = comfyui.submit(with_preview(family_graph("sd2") | {"30": of_family("sd2", projection="ridge")}))
    time.sleep(10)
    comfyui.post("/interrupt", {})
    asked = time.monotonic()
    run = comfyui.finished(prompt_id)
    assert run.interrupted and not run.error
    assert time.monotonic() - asked < 120, "one portion of texts, however busy the machine is"
    assert "UnrenderModel" not in comfyui.get("/probe/loaded")


def test_comfyui_gets_all_memory_of_the_default_models_back(comfyui, clip_in_the_hub):
    """Main memory too, when it is asked to free it; until then the models wait there as its own do."""
    graph = shipped("Image variation without text")
    del graph["3"]["inputs"]["clip_vision"]
    rendered(comfyui, graph)
    comfyui.post("/free", {"unload_models": True, "free_memory": True})
    assert eventually(lambda: comfyui.get("/probe/alive") == 0), "whatever earlier runs left"
    rendered(comfyui, graph)
    comfyui.post("/free", {"unload_models": True})
    assert eventually(lambda: "UnrenderModel" not in comfyui.get("/probe/loaded"))
    assert comfyui.get("/probe/alive") == 1
    comfyui.post("/free", {"unload_models": True, "free_memory": True})
    assert eventually(lambda: comfyui.get("/probe/alive") == 0)
    rendered(comfyui, graph)


def eventually(true: Callable[[], bool]) -> bool:
    """ComfyUI frees memory between two prompts, when its worker comes to it."""
    end = time.monotonic() + 60
    while not (found := true()) and time.monotonic() < end:
        time.sleep(1)
    return found


LORA = node("LoraLoader", model=["2", 0], clip=["2", 1], lora_name="text.safetensors")
LORA["inputs"] |= {"strength_model": 1.0, "strength_clip": 1.0}
PATCHED = {
    "with a LoRA": (["21", 1], {}),
    "partly unloaded": (["22", 0], {"22": node("ProbePartlyUnloaded", clip=["21", 1])}),
    "merged": (["22", 0], {"22": node("CLIPMergeSimple", clip1=["2", 1], clip2=["21", 1], ratio=0.5)}),
}


@pytest.mark.parametrize("kind", PATCHED)
def test_comfyui_embeds_an_empty_prompt_as_comfyui_does(comfyui, kind):
    """At strength 0, patches taking part, the sampler gets what it always gets."""
    comfyui.post("/free", {"unload_models": True, "free_memory": True})
    time.sleep(1)
    patched, nodes = PATCHED[kind]
    pairs = {"patched": ("3", "23"), "plain": ("3", "24")}
    graph = embedding(patched, strength=0.0, clip_vision=["101", 0]) | nodes | {"21": LORA}
    graph |= {
        "23": node("CLIPTextEncode", text="", clip=patched),
        "24": node("CLIPTextEncode", text="", clip=["2", 1]),
    }
    found = shares(comfyui, graph, pairs)
    assert found["patched"] < 1e-3 < 0.01 < found["plain"], "patches take part"
    assert "UnrenderModel" not in comfyui.get("/probe/loaded")


def test_comfyui_embeds_for_a_clip_that_is_patched_while_in_use(comfyui):
    """A merge has patches on weights of every size."""
    if comfyui.version < (0, 33):
        pytest.skip("older ComfyUIs have no such patcher")
    patched, nodes = PATCHED["merged"]
    graph = embedding(["40", 0], strength=0.0, clip_vision=["101", 0]) | nodes | {"21": LORA}
    graph |= {"23": node("CLIPTextEncode", text="", clip=patched), "40": node("ProbePatchedInUse", clip=patched)}
    assert shares(comfyui, graph, {"same": ("3", "23")})["same"] < 1e-3


def test_comfyui_embeds_for_a_clip_in_eight_bits(comfyui):
    if comfyui.version < (0, 4):
        pytest.skip("older ComfyUIs take the numbers of such a file as they stand")
    clip = node("CLIPLoader", clip_name="scaled_fp8.safetensors", type="stable_diffusion", device="default")
    graph = embedding(["22", 0], strength=0.0, clip_vision=["101", 0]) | {
        "22": clip,
        "23": node("CLIPTextEncode", text="", clip=["22", 0]),
    }
    assert shares(comfyui, graph, {"same": ("3", "23")})["same"] < 5e-3


def test_comfyui_says_which_vision_model_belongs_to_the_checkpoint(comfyui):
    graph = embedding(["2", 1], clip_vision=["101", 0]) | {"101": node("ProbeSmallVision", width=1024)}
    graph["4"] = node("PreviewAny", source=["3", 0])
    assert comfyui.run(graph).error == (
        "The vision model is ViT-H/14 and does not belong to this CLIP; "
        "load ViT-L/14 (clip-vit-large-patch14) with Load CLIP Vision."
    )


def test_comfyui_saves_and_loads_prompt_embeddings(comfyui):
    graph = embedding(["2", 1], clip_vision=["101", 0])
    graph["4"] = node("UnrenderSavePromptEmbedding", embedding=["3", 1], name="coffee")
    path = Path(comfyui.run(graph).text("4")[0])
    assert path == comfyui.shared / "prompt_embeddings" / "coffee.safetensors" and path.is_file()
    again = embedding(["2", 1], clip_vision=["101", 0]) | {
        "5": node("UnrenderLoadPromptEmbedding", name="coffee.safetensors"),
        "6": node("ProbeDistance", first=["3", 0], second=["5", 0]),
        "7": node("PreviewAny", source=["6", 0]),
    }
    assert float(comfyui.run(again).text("7")[0]) == 0


def test_comfyui_embeds_a_picture_in_the_time_of_its_vision_tower(comfyui):
    """With models of the real sizes, all loaded; the middle of several runs, because others use the machine. See the
    times with pytest -s."""
    graph = embedding(["2", 1], clip_vision=["101", 0]) | {
        "101": node("ProbeLargeVision"),
        "102": node("CLIPVisionEncode", clip_vision=["101", 0], image=["1", 0], crop="center"),
        "4": node("CLIPTextEncode", text="a cup of coffee", clip=["2", 1]),
        "5": node("PreviewAny", source=["3", 0]),
        "6": node("PreviewAny", source=["4", 0]),
        "7": node("PreviewAny", source=["102", 0]),
    }
    assert comfyui.run(graph).succeeded
    shares = []
    for run, name in enumerate(("cat.png", "astronaut.png", "coffee.png", "cat.png")):
        graph["1"], graph["4"]["inputs"]["text"] = picture(name), f"a cup of coffee {run}"
        assert comfyui.run(graph).succeeded
        seconds = comfyui.get("/probe/seconds")
        vision, ours, text = (seconds[number] for number in ("102", "3", "4"))
        print(f"\nvision tower {vision:.3f} s, Image To Prompt Embedding {ours:.3f} s, text {text:.3f} s")  # noqa: T201
        shares.append(ours / vision)
    assert median(shares) < 1.25, shares


FAMILIES = {
    "sd15": (node("CheckpointLoaderSimple", ckpt_name="random.safetensors"), 1, 768),
    "sd2": (node("ProbeSmallSd2"), 0, 1024),
    "sdxl": (node("ProbeSmallSdxl", width=1280, other_width=768), 0, 1280),
}
"""A CLIP of each, its output's number, and the width of what its vision model sees."""


def family_graph(family: str) -> Graph:
    """Node 2 has the CLIP, 101 a small vision model, 102 what that sees, 103 pictures to measure the gap with. At the
    vision model's own size no one resizes."""
    clip, output, width = FAMILIES[family]
    return {
        "1": picture("coffee.png"),
        "2": clip,
        "10": node("ImageScale", image=["1", 0], upscale_method="area", width=56, height=56, crop="center"),
        "101": node("ProbeSmallVision", width=width),
        "102": node("CLIPVisionEncode", clip_vision=["101", 0], image=["10", 0], crop="center"),
        "103": node("ProbeNoise", pictures=8, size=56),
        "104": node("CLIPVisionEncode", clip_vision=["101", 0], image=["103", 0], crop="center"),
        "20": node("CLIPTextEncode", text="", clip=["2", output]),
        "21": node("CLIPTextEncode", text="a cup of coffee", clip=["2", output]),
        "22": node("PrimitiveString", value="a cup of coffee"),
    }


def of_family(family: str, **settings) -> dict:
    """A node that embeds the picture of `family_graph`."""
    seen = {} if "image" in settings else {"image": ["10", 0], "clip_vision": ["101", 0]}
    clip = ["2", FAMILIES[family][1]]
    return node("UnrenderImageToPromptEmbedding", clip=clip, **{**EMBED, **seen, **settings})


def with_preview(graph: Graph, number: str = "30") -> Graph:
    """ComfyUI runs only what something shown depends on."""
    return {**graph, "99": node("PreviewAny", source=[number, 0])}


def shares(comfyui: Server, graph: Graph, pairs: dict[str, tuple[str, str]]) -> dict[str, float]:
    """How far nodes' conditionings are from each other, after one run."""
    for number, (first, second) in enumerate(pairs.values()):
        graph[f"{200 + number}"] = node("ProbeDistance", first=[first, 0], second=[second, 0])
        graph[f"{300 + number}"] = node("PreviewAny", source=[f"{200 + number}", 1])
    run = comfyui.run(graph)
    return {name: float(run.text(f"{300 + number}")[0]) for number, name in enumerate(pairs)}


@pytest.mark.parametrize("family", FAMILIES)
def test_comfyui_has_every_projection_for_every_family(comfyui, family):
    """Learned from a few texts. What ComfyUI itself makes of texts is where the scales of strength and correction
    begin."""
    comfyui.post("/probe/learn_from/64", {})
    comfyui.post("/free", {"unload_models": True, "free_memory": True})
    graph = family_graph(family) | {
        "30": of_family(family, projection="ridge"),
        "31": of_family(family, projection="ridge", image=["102", 0]),
        "32": of_family(family, projection="ridge", gap_pictures=["103", 0]),
        "33": of_family(family, projection="ridge", image=["102", 0], gap_pictures=["104", 0]),
        "34": of_family(family, projection="ridge", strength=0.0),
        "40": of_family(family, projection="bank"),
        "41": of_family(family, projection="bank", temperature=0.5),
        "50": of_family(family, projection="anchored", anchor=["22", 0]),
        "51": of_family(family, projection="anchored", anchor=["22", 0], correction=0.0),
    }
    found = shares(
        comfyui,
        graph,
        {
            "seen elsewhere": ("31", "30"),
            "gap seen elsewhere": ("33", "32"),
            "gap": ("32", "30"),
            "no strength": ("34", "20"),
            "bank": ("40", "30"),
            "temperature": ("41", "40"),
            "anchored": ("50", "21"),
            "no correction": ("51", "21"),
            "the picture": ("30", "20"),
        },
    )
    same = {"seen elsewhere", "gap seen elsewhere", "no strength", "no correction"}
    assert all(found[name] < 3e-3 for name in same), found
    assert all(1e-2 < share < 1e3 for name, share in found.items() if name not in same), found
    assert "UnrenderModel" not in comfyui.get("/probe/loaded")
