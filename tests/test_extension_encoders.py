"""A webui's text encoders, as it holds them: with a layer of its own around the words."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from unrender.core.clip.hidden_states import hidden_states
from unrender.core.clip.layers import LAST
from unrender.core.embed.families import SD2, Encoder, Family
from unrender.core.errors import ModelError
from unrender.extension.text_encoders import family_of, text_sides


class Held(torch.nn.Module):
    """What a webui has around an encoder."""

    def __init__(self, **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


class Words(torch.nn.Module):
    def __init__(self, wrapped):
        super().__init__()
        self.wrapped = wrapped


IDS = torch.tensor([[49406, 320, 2368, 49407, *[49407] * 73]])
TOKENIZER = SimpleNamespace(bos_token_id=49406, eos_token_id=49407)


def small_encoder(layers=2):
    """transformers' own, with the states it makes of `IDS`: of every layer, the last one normalised."""
    import transformers

    config = transformers.CLIPTextConfig(
        hidden_size=64, intermediate_size=128, num_hidden_layers=layers, num_attention_heads=2, eos_token_id=49407
    )
    encoder = transformers.CLIPTextModel(config).eval()
    with torch.no_grad():
        found = encoder(IDS, output_hidden_states=True)
    table = getattr(encoder, "text_model", encoder).embeddings
    table.token_embedding = Words(table.token_embedding)
    return encoder, (*found.hidden_states[:-1], found.last_hidden_state)


def side_of(embedder, width):
    family = Family("x", "X", (Encoder("clip", width, LAST, "end"),), "", width)
    checkpoint = SimpleNamespace(cond_stage_model=SimpleNamespace(wrapped=embedder))
    return text_sides(checkpoint, family, torch.device("cpu"))["clip"]


def test_transformers():
    encoder, expected = small_encoder()
    found = side_of(Held(transformer=encoder, tokenizer=TOKENIZER), 64)
    assert torch.allclose(hidden_states(found.weights, IDS)[0], expected[-1], atol=1e-5)


def test_forge():
    """It has an engine for each encoder, and no weight in the projection that CLIP-L's checkpoints lack."""
    encoders = [small_encoder() for _ in range(2)]
    for encoder, _ in encoders:
        encoder.text_projection = torch.nn.Linear(64, 64, bias=False)
    encoders[0][0].text_projection.weight = None
    engines = [SimpleNamespace(text_encoder=Held(transformer=encoder), tokenizer=TOKENIZER) for encoder, _ in encoders]
    names = ("text_processing_engine_l", "text_processing_engine_g")
    checkpoint = SimpleNamespace(cond_stage_model=None, **dict(zip(names, engines, strict=True)))
    encoders_of = (Encoder(name, 64, LAST, "end", "", name == "clip_g") for name in ("clip_l", "clip_g"))
    family = Family("x", "X", tuple(encoders_of), "", 64)
    sides = text_sides(checkpoint, family, torch.device("cpu"))
    for side, (_, expected) in zip(sides.values(), encoders, strict=True):
        assert torch.allclose(hidden_states(side.weights, IDS)[0], expected[-1], atol=1e-5)
    assert sides["clip_l"].weights.projection is None
    assert torch.equal(sides["clip_g"].weights.projection, encoders[1][0].text_projection.weight)


def test_forges_sd2_lacks_the_last_layer():
    encoder, expected = small_encoder(layers=23)
    engine = SimpleNamespace(text_encoder=Held(transformer=encoder), tokenizer=TOKENIZER)
    checkpoint = SimpleNamespace(text_processing_engine=engine)
    side = text_sides(checkpoint, SD2, torch.device("cpu"))["clip_h"]
    assert text_sides(checkpoint, SD2)["clip_h"].fingerprint == side.fingerprint, "another where it is"
    whole = side.completed(SimpleNamespace(text=None))
    found = hidden_states(whole.weights, IDS, (SD2.encoders[0].layer,))[0]
    assert torch.allclose(found, expected[-1], atol=1e-4)


def test_reforge():
    """It has ComfyUI's text models, which name their heads and keep a function for their activation."""
    encoder, expected = small_encoder()
    text = getattr(encoder, "text_model", encoder)
    quick = SimpleNamespace(activation=lambda states: states * torch.sigmoid(1.702 * states))
    layers = [
        SimpleNamespace(
            layer_norm1=layer.layer_norm1,
            layer_norm2=layer.layer_norm2,
            self_attn=SimpleNamespace(**dict(layer.self_attn.named_children()), heads=2),
            mlp=SimpleNamespace(fc1=layer.mlp.fc1, fc2=layer.mlp.fc2, **vars(quick)),
        )
        for layer in text.encoder.layers
    ]
    model = SimpleNamespace(
        encoder=SimpleNamespace(layers=layers), embeddings=text.embeddings, final_layer_norm=text.final_layer_norm
    )
    found = side_of(Held(transformer=SimpleNamespace(text_model=model), tokenizer=TOKENIZER), 64)
    assert torch.allclose(hidden_states(found.weights, IDS)[0], expected[-1], atol=1e-5)


def test_open_clip(open_clip_model):
    import copy

    model = copy.deepcopy(open_clip_model)
    model.token_embedding = Words(model.token_embedding)
    found = side_of(Held(model=model), 64)
    ids = torch.tensor([[49406, 320, 2368, 49407]])
    end = hidden_states(found.weights, ids)[0][0, 3] @ model.text_projection
    padded = torch.cat([ids, torch.zeros(1, 73, dtype=torch.long)], dim=1)
    with torch.no_grad():
        expected = open_clip_model.encode_text(padded)[0]
    assert torch.allclose(end, expected, atol=1e-5)
    assert found.tokenizer.encode("a cat") == (320, 2368)


def test_families():
    assert family_of(SimpleNamespace(is_sdxl=True), 2).name == "sdxl"
    sd1 = SimpleNamespace(is_sd1=True, is_sdxl=False)
    assert [family_of(sd1, skip).name for skip in (1, 2)] == ["sd15", "sd15-skip2"]
    with pytest.raises(ModelError, match="Clip skip is 3"):
        family_of(sd1, 3)
    with pytest.raises(ModelError, match="no picture can speak to"):
        family_of(SimpleNamespace(is_sd3=True), 1)
    with pytest.raises(ModelError, match="refiner"):
        conditioner = SimpleNamespace(embedders=[SimpleNamespace(wrapped=None)])
        text_sides(SimpleNamespace(conditioner=conditioner), family_of(SimpleNamespace(is_sdxl=True), 1), "cpu")
