"""What a vision transformer says of each patch of a picture, in the space it shares with words.

The last attention is replaced by one in which every token looks at itself alone, so that a patch keeps its own values
instead of what it gathered elsewhere; the rest of the block, the norm and the projection stay as they are. That is
MaskCLIP (Zhou, Loy, Dai: Extract Free Dense Labels from CLIP, ECCV 2022) without its refinements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PatchEncoder = Callable[[Tensor], Tensor]
"""Pixels [n, 3, height, width] -> patch features [n, rows, columns, width], not normalised."""


def open_clip_patches(visual: Any) -> PatchEncoder | None:
    """For the picture encoder of an open_clip model. None where it is no plain vision transformer (ResNets, ConvNeXts,
    those of timm, attention pools)."""
    blocks = getattr(getattr(visual, "transformer", None), "resblocks", None)
    if not blocks or not hasattr(visual, "ln_post") or getattr(visual, "attn_pool", None) is not None:
        return None
    block, projection = blocks[-1], visual.proj
    if not isinstance(getattr(block, "attn", None), nn.MultiheadAttention):
        return None
    batch_first = block.attn.batch_first

    def encode(pixels: Tensor) -> Tensor:
        entering = _input_of(block.ln_1, lambda: visual(pixels))
        tokens = entering + block.ls_1(_values(block.attn, block.ln_1(entering)))
        tokens = tokens + block.ls_2(block.mlp(block.ln_2(tokens)))
        tokens = tokens if batch_first else tokens.transpose(0, 1)
        features = visual.ln_post(tokens[:, 1:])
        return _as_grid(features if projection is None else features @ projection, pixels, visual.conv1)

    return encode


def transformers_patches(tower: Any, projection: nn.Module | None) -> PatchEncoder | None:
    """The same for the vision_model of a CLIPModel and its projection, or of a SiglipModel, which has none."""
    layers = getattr(getattr(tower, "encoder", None), "layers", None)
    embedding = getattr(getattr(tower, "embeddings", None), "patch_embedding", None)
    if not layers or embedding is None or not hasattr(layers[-1], "self_attn"):
        return None
    if projection is None:
        return _pooled_patches(tower, embedding) if hasattr(tower, "head") else None
    layer = layers[-1]

    def encode(pixels: Tensor) -> Tensor:
        entering = _input_of(layer.layer_norm1, lambda: tower(pixel_values=pixels))
        attention = layer.self_attn
        tokens = entering + attention.out_proj(attention.v_proj(layer.layer_norm1(entering)))
        tokens = tokens + layer.mlp(layer.layer_norm2(tokens))
        return _as_grid(projection(tower.post_layernorm(tokens[:, 1:])), pixels, embedding)

    return encode


def _pooled_patches(tower: Any, embedding: nn.Module) -> PatchEncoder:
    """SigLIP pools by attention: each patch goes the way of a pool that looks at that patch alone."""
    head = tower.head

    def encode(pixels: Tensor) -> Tensor:
        pooled = _values(head.attention, tower(pixel_values=pixels).last_hidden_state)
        return _as_grid(pooled + head.mlp(head.layernorm(pooled)), pixels, embedding)

    return encode


def _values(attention: nn.MultiheadAttention, tokens: Tensor) -> Tensor:
    """What an attention gives to tokens each of which looks at itself alone."""
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    width = tokens.shape[-1]
    values = F.linear(tokens, weight[2 * width :], None if bias is None else bias[2 * width :])
    return F.linear(values, attention.out_proj.weight, attention.out_proj.bias)


def _input_of(module: nn.Module, run: Callable[[], object]) -> Tensor:
    """What `module` is given while `run` runs."""
    seen: list[Tensor] = []
    handle = module.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].clone()))
    try:
        run()
    finally:
        handle.remove()
    return seen[0]


def _as_grid(features: Tensor, pixels: Tensor, embedding: Any) -> Tensor:
    rows, columns = (side // stride for side, stride in zip(pixels.shape[-2:], embedding.stride, strict=True))
    return torch.unflatten(features, 1, (rows, columns))
