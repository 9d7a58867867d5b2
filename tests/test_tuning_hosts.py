"""A LoRA that tuning wrote, in the programs that load it: patched weights, not pixels. Opt-in: a real ComfyUI (see
`comfyui_fixtures`), and diffusers where peft is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import torch
from comfyui_server import COMFYUI, PYTHON
from safetensors.torch import load_file
from tiny_pipelines import tiny_pipeline
from tuning_setting import checkpoint
from unrender.core.tuning.low_rank import LowRankMaps
from unrender.core.variation.lora import Lora

diffusers = pytest.importorskip("diffusers", reason="rendering needs diffusers")
TESTS = Path(__file__).parent


def written(unet, path) -> Lora:
    """A LoRA that changes something."""
    maps = LowRankMaps(unet, 4)
    generator = torch.Generator().manual_seed(0)
    maps.start(generator)
    with torch.no_grad():
        for up in maps.up:
            up.normal_(0, 0.1, generator=generator)
    lora = maps.lora({"ss_network_module": "networks.lora"})
    lora.save(path)
    return Lora.load(path)


@pytest.mark.skipif(not (COMFYUI and PYTHON), reason="COMFYUI_DIR and COMFYUI_PYTHON name a real ComfyUI")
def test_comfyui_changes_the_same_weights_alike(tmp_path):
    unet = diffusers.UNet2DConditionModel(
        sample_size=8,
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
        block_out_channels=(320,),
        layers_per_block=1,
        attention_head_dim=8,
        cross_attention_dim=768,
    )
    lora = written(unet, tmp_path / "lora.safetensors")
    for script, args in (
        ("comfyui_models.py", (COMFYUI, tmp_path)),
        (
            "comfyui_lora_probe.py",
            (COMFYUI, tmp_path / "checkpoints" / "random.safetensors", tmp_path / "lora.safetensors", tmp_path / "out"),
        ),
    ):
        subprocess.run([PYTHON, TESTS / script, *map(str, args)], check=True, capture_output=True, timeout=300)
    found = load_file(tmp_path / "out")
    layers = {name.removeprefix("base.").removesuffix(".weight") for name in found if name.startswith("base.")}
    assert {layer.replace(".", "_") for layer in layers} == set(lora.layers)
    for layer in layers:
        change = found[f"patched.{layer}.weight"] - found[f"base.{layer}.weight"]
        expected = lora.layers[layer.replace(".", "_")].change
        assert torch.allclose(change, expected, atol=1e-3) and float(expected.abs().max()) > 0.01


@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_diffusers_changes_the_same_weights_alike(family, tmp_path, transformers_folder):
    pytest.importorskip("peft", reason="diffusers loads LoRAs through peft")
    pipeline = tiny_pipeline(family, transformers_folder)
    lora = written(pipeline.unet, tmp_path / "lora.safetensors")
    with lora.applied(pipeline.unet, "lora"):
        ours = {name: each.clone() for name, each in pipeline.unet.named_parameters()}
    pipeline.load_lora_weights(str(tmp_path / "lora.safetensors"))
    pipeline.fuse_lora()
    pipeline.unload_lora_weights()
    theirs = dict(pipeline.unet.named_parameters())
    assert set(theirs) == set(ours)
    assert all(torch.allclose(theirs[name], ours[name], atol=1e-5) for name in ours)


def test_micros_is_loaded_by_diffusers_too(tmp_path):
    pytest.importorskip("peft", reason="diffusers loads LoRAs through peft")
    unet = checkpoint().pipeline.unet
    lora = written(unet, tmp_path / "lora.safetensors")
    with lora.applied(unet, "lora"):
        ours = {name: each.clone() for name, each in unet.named_parameters()}
    import copy

    pipeline = copy.copy(checkpoint().pipeline)
    pipeline.unet = copy.deepcopy(unet)
    pipeline.load_lora_weights(str(tmp_path / "lora.safetensors"))
    pipeline.fuse_lora()
    pipeline.unload_lora_weights()
    assert all(torch.allclose(each, ours[name], atol=1e-5) for name, each in pipeline.unet.named_parameters())
