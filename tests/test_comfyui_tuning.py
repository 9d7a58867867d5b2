"""Tune On Pictures in a real ComfyUI: the LoRA file does what the patched model does, and a run can be stopped."""

from __future__ import annotations

import time

import pytest
import torch
from comfyui_graphs import node, shipped
from comfyui_server import needs_comfyui, rendered
from unrender.core.variation.lora import Lora

pytest_plugins = ["comfyui_fixtures"]
pytestmark = needs_comfyui


def graph_with(**settings):
    """The workflow of a variation, with a model that was tuned on its picture."""
    graph = shipped("Image variation without text")
    loader = graph["3"]["inputs"]["clip"][0]
    graph["40"] = node(
        "UnrenderTuneOnPictures",
        **{
            **{"image": ["2", 0], "model": [loader, 0], "clip": [loader, 1], "vae": [loader, 2]},
            **{"name": "cat", "steps": 3, "rate": 0.05, "batch": 1, "rank": 4, "size": 64, "seed": 0},
            **{"quality": "quick", "anchor": "", "clip_vision": graph["3"]["inputs"]["clip_vision"]},
            **settings,
        },
    )
    graph["7"]["inputs"] |= {"model": ["40", 0], "positive": ["40", 1]}
    return graph


def test_comfyui_tunes_a_model_and_its_lora_is_the_same(comfyui):
    graph = graph_with()
    image = rendered(comfyui, graph)
    (path,) = comfyui.base.glob("**/loras/cat.safetensors")
    lora = Lora.load(path)
    assert all(float(pair.up.abs().max()) > 0 for pair in lora.layers.values())
    loader = graph["40"]["inputs"]["model"]
    graph["41"] = node("LoraLoaderModelOnly", model=loader, lora_name="cat.safetensors", strength_model=1.0)
    graph["7"]["inputs"]["model"] = ["41", 0]
    loaded = rendered(comfyui, graph)
    graph["7"]["inputs"]["model"] = loader
    plain = rendered(comfyui, graph)
    assert abs(loaded.astype(float) - image).max() <= 2, "the file and the model that the node gave"
    assert abs(plain.astype(float) - image).max() > 2


def test_comfyui_tunes_the_same_a_second_time(comfyui):
    first = graph_with(name="first", seed=1)
    image = rendered(comfyui, first)
    comfyui.forget() if hasattr(comfyui, "forget") else None
    again = rendered(comfyui, graph_with(name="second", seed=1))
    one, other = (Lora.load(next(comfyui.base.glob(f"**/loras/{name}.safetensors"))) for name in ("first", "second"))
    assert all(torch.equal(one.layers[name].up, other.layers[name].up) for name in one.layers)
    assert (image == again).all()


def test_comfyui_interrupts_a_tuning(comfyui):
    prompt_id = comfyui.submit(graph_with(name="endless", steps=1000))
    time.sleep(15)
    comfyui.post("/interrupt", {})
    run = comfyui.finished(prompt_id)
    assert run.interrupted and not run.error
    assert not list(comfyui.base.glob("**/loras/endless.safetensors"))


@pytest.mark.parametrize(("settings", "said"), [({"name": "a/b"}, "is no name for a LoRA")])
def test_comfyui_shows_what_is_wrong(comfyui, settings, said):
    run = comfyui.run(graph_with(**settings))
    assert said in run.error
