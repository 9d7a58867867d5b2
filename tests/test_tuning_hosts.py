"""A LoRA that tuning wrote, in the programs that load it: patched weights, not pixels. Opt-in: a real ComfyUI (see
`comfyui_fixtures`), A1111's webui (WEBUI_DIR; which layers it takes the names for), and diffusers where peft is
installed."""

from __future__ import annotations

import ast
import os
import re
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


BLOCKS = {
    "sd15": ({1, 2, 4, 5, 7, 8}, {3, 4, 5, 6, 7, 8, 9, 10, 11}),
    "sdxl": ({4, 5, 7, 8}, {0, 1, 2, 3, 4, 5}),
}
"""Of a checkpoint's `input_blocks` and `output_blocks` those with attention."""


@pytest.mark.skipif(not os.environ.get("WEBUI_DIR"), reason="WEBUI_DIR names a real webui")
@pytest.mark.parametrize("family", sorted(BLOCKS))
def test_the_webui_finds_a_layer_of_the_checkpoint_for_every_name(family):
    with torch.device("meta"):
        unet = real_unet(family)
    named = webuis_names()
    found = [named(f"lora_unet_{name.replace('.', '_')}", False) for name in LowRankMaps(unet, 1).names]
    layer = r"diffusion_model_(input_blocks_\d+|output_blocks_\d+|middle_block)_1_transformer_blocks_\d_attn2_to_[kv]"
    places = [re.fullmatch(layer, name) for name in found]
    assert all(places) and len(set(found)) == len(found)
    blocks: dict[str, set[str]] = {}
    for place in filter(None, places):
        kind, _, number = place[1].rpartition("_")
        blocks.setdefault(kind, set()).add(number)
    inputs, outputs = ({int(number) for number in blocks[f"{side}_blocks"]} for side in ("input", "output"))
    assert (inputs, outputs) == BLOCKS[family]


def real_unet(family):
    """Of the published sizes."""
    if family == "sd15":
        return diffusers.UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
    return diffusers.UNet2DConditionModel(
        sample_size=128,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(320, 640, 1280),
        transformer_layers_per_block=(1, 2, 10),
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        use_linear_projection=True,
    )


def webuis_names():
    """The webui's own function, without the rest of its module, which loads a model."""
    source = Path(os.environ["WEBUI_DIR"], "extensions-builtin/Lora/networks.py").read_text(encoding="utf-8")
    wanted = {"re_digits", "re_x_proj", "re_compiled", "suffix_conversion", "convert_diffusers_name_to_compvis"}
    body = [
        part
        for part in ast.parse(source).body
        if getattr(part, "name", None) in wanted
        or (isinstance(part, ast.Assign) and getattr(part.targets[0], "id", None) in wanted)
    ]
    known: dict = {"re": re}
    exec(compile(ast.Module(body, []), "networks.py", "exec"), known)
    return known["convert_diffusers_name_to_compvis"]
