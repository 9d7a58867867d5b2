"""What a webui's LoRAs change in its text encoders, and what those were before, in each webui's way of keeping it."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import torch
from test_extension_encoders import IDS, TOKENIZER, Held, Words, small_encoder
from unrender.core.clip.hidden_states import hidden_states
from unrender.core.clip.layers import LAST
from unrender.core.embed.families import Encoder, Family
from unrender.core.embed.recommended import recommend, recommended_for
from unrender.extension.text_encoders import text_sides

FAMILY = Family("x", "X", (Encoder("clip", 64, LAST, "end"),), "", 64)
PATCHED = "self_attn.q_proj", "mlp.fc1"


class Dimension(NamedTuple):
    """As ComfyUI keeps a weight."""

    weight: torch.Tensor
    inplace_update: bool


def change(weight: torch.Tensor, by: float) -> torch.Tensor:
    return by * torch.arange(weight.numel()).sin().reshape(weight.shape)


def a1111(encoder, by: float):
    """It keeps weights at every layer that it has looked at, changed by a LoRA or not."""
    held = Held(transformer=encoder, tokenizer=TOKENIZER)
    for name, layer in held.named_modules():
        if isinstance(layer, (torch.nn.Linear, torch.nn.LayerNorm)):
            layer.network_weights_backup = layer.weight.detach().to("cpu", copy=True)
            layer.network_bias_backup = None if layer.bias is None else layer.bias.detach().to("cpu", copy=True)
            layer.network_current_names = (("style", 1.0, 1.0, None),)
            if name.endswith(PATCHED):
                layer.weight.data.add_(change(layer.weight, by))
                layer.bias.data.add_(by)
    return SimpleNamespace(cond_stage_model=SimpleNamespace(wrapped=held))


def keeping_by_name(encoder, by: float, kept) -> tuple[Any, dict[str, Any]]:
    model, backup = Held(clip_l=Held(transformer=encoder)), {}
    for name, own in list(model.named_parameters()):
        layer, _, _ = name.rpartition(".")
        if layer.endswith(PATCHED) and name.endswith("weight"):
            backup[name] = kept(own.detach())
            model.get_submodule(layer).weight = torch.nn.Parameter(own.detach() + change(own, by), requires_grad=False)
    return model, backup


def forge(encoder, by: float):
    model, backup = keeping_by_name(encoder, by, lambda own: own)
    model.lora_loader = SimpleNamespace(backup=backup)
    clip = SimpleNamespace(cond_stage_model=model, patcher=SimpleNamespace())
    engine = SimpleNamespace(text_encoder=model.clip_l, tokenizer=TOKENIZER)
    return SimpleNamespace(text_processing_engine=engine, forge_objects=SimpleNamespace(clip=clip))


def reforge(encoder, by: float):
    model, backup = keeping_by_name(encoder, by, lambda own: Dimension(own, False))
    clip = SimpleNamespace(cond_stage_model=model, patcher=SimpleNamespace(backup=backup))
    wrapped = Held(transformer=encoder, tokenizer=TOKENIZER)
    objects = SimpleNamespace(clip=clip)
    return SimpleNamespace(cond_stage_model=SimpleNamespace(wrapped=wrapped), forge_objects=objects)


def sides(checkpoint):
    return text_sides(checkpoint, FAMILY, torch.device("cpu"))


@pytest.fixture
def encoder():
    return small_encoder()[0]


WEBUIS = pytest.mark.parametrize("webui", [a1111, forge, reforge])


@WEBUIS
def test_the_encoder_before_its_loras_is_known_beside_the_one_with_them(encoder, webui):
    before = sides(a1111(copy.deepcopy(encoder), 0))["clip"]
    checkpoint = webui(encoder, 0.01)
    patched = sides(checkpoint)["clip"]
    plain = patched.plain()
    assert plain.fingerprint == before.fingerprint != patched.fingerprint and plain.plain is None
    states = [hidden_states(each.weights, IDS)[0] for each in (before, plain, patched)]
    assert torch.equal(states[0], states[1]) and not torch.allclose(states[0], states[2], atol=1e-4)
    assert sides(checkpoint)["clip"].fingerprint == patched.fingerprint, "the webui's encoder is as it was before"
    assert all(isinstance(own, torch.nn.Parameter) for own in encoder.parameters())


@WEBUIS
def test_loras_of_the_unet_alone_are_no_patches(encoder, webui):
    assert sides(webui(encoder, 0.0))["clip"].plain is None


def test_what_a1111_keeps_of_loras_that_are_gone_is_no_patch(encoder):
    checkpoint = a1111(encoder, 0.01)
    for layer in checkpoint.cond_stage_model.wrapped.modules():
        layer.network_current_names = ()
    assert sides(checkpoint)["clip"].plain is None


def test_open_clips_attention_is_kept_in_one(open_clip_model):
    model = copy.deepcopy(open_clip_model)
    model.token_embedding = Words(model.token_embedding)
    checkpoint = SimpleNamespace(cond_stage_model=SimpleNamespace(wrapped=Held(model=model)))
    assert sides(checkpoint)["clip"].plain is None
    before = sides(checkpoint)["clip"].fingerprint
    for layer in model.transformer.modules():
        if isinstance(layer, torch.nn.MultiheadAttention):
            own = layer.in_proj_weight, layer.out_proj.weight, layer.out_proj.bias
            *weights, layer.network_bias_backup = (each.detach().to("cpu", copy=True) for each in own)
            layer.network_weights_backup, layer.network_current_names = tuple(weights), ("style",)
            for each in own:
                each.data.add_(0.01)
    patched = sides(checkpoint)["clip"]
    assert patched.plain().fingerprint == before != patched.fingerprint


def test_what_suits_a_checkpoint_suits_it_with_loras(encoder, tmp_path):
    before = sides(a1111(copy.deepcopy(encoder), 0))["clip"]
    recommend(tmp_path, before.fingerprint, "quick")
    assert recommended_for(tmp_path, sides(a1111(encoder, 0.01)).values()) == "quick"
