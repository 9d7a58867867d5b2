"""A CLIP and a CLIP_VISION as the nodes find them in a graph, small, for the stand-in for ComfyUI."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy.sd1_clip import SD1ClipModel
from transformers import CLIPTextConfig, CLIPTextModelWithProjection, CLIPTokenizer

CPU = torch.device("cpu")
WIDTH = 768
PATCHED = "clip_l.transformer.text_model.encoder.layers.0.mlp.fc1.weight"


def small_clip(tokenizer: CLIPTokenizer) -> Any:
    """A CLIP of Stable Diffusion 1 with one layer. Its modules have the names that ComfyUI's have."""
    config = CLIPTextConfig(
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=12,
        projection_dim=WIDTH,
        hidden_act="quick_gelu",
        eos_token_id=49407,
    )
    torch.manual_seed(0)
    text = CLIPTextModelWithProjection(config).eval()
    torch.nn.init.normal_(text.text_projection.weight, std=WIDTH**-0.5)
    for layer in text.text_model.encoder.layers:
        layer.self_attn.heads = 12
        layer.mlp.activation = layer.mlp.activation_fn
    model = SD1ClipModel()
    model.clip_l = torch.nn.Module()
    model.clip_l.transformer = text
    model.clip_l.special_tokens = {"start": 49406, "end": 49407, "pad": 49407}
    return SimpleNamespace(
        cond_stage_model=model,
        tokenizer=SimpleNamespace(clip_l=SimpleNamespace(tokenizer=tokenizer)),
        layer_idx=None,
        patcher=ModelPatcher(model, CPU, CPU),
    )


class SmallVision(torch.nn.Module):
    """Sees 16 x 16 pixels, `room` pictures at a time: for more the memory does not suffice."""

    vision_model = None

    def __init__(self, room: int = 1_000) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.visual_projection = torch.nn.Linear(3 * 16 * 16, WIDTH, bias=False)
        self.room = room
        self.runs: list[int] = []

    def forward(self, pixel_values: torch.Tensor, intermediate_output: int) -> tuple[None, None, torch.Tensor]:
        if len(pixel_values) > self.room:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        self.runs.append(len(pixel_values))
        return None, None, self.visual_projection(pixel_values.flatten(1))


def small_vision(room: int = 1_000) -> Any:
    model = SmallVision(room)
    return SimpleNamespace(
        model=model,
        patcher=ModelPatcher(model, CPU, CPU),
        load_device=CPU,
        image_size=16,
        image_mean=(0.5, 0.5, 0.5),
        image_std=(0.5, 0.5, 0.5),
    )


def with_lora(clip: Any) -> Any:
    """The same CLIP with a LoRA, whose one patch doubles the weight PATCHED."""
    clone = SimpleNamespace(**vars(clip))
    clone.patcher = ModelPatcher(clip.cond_stage_model, CPU, CPU)
    clone.patcher.patches = {PATCHED: [2.0]}
    return clone
