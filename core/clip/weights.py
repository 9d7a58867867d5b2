"""The weights of a causal CLIP text tower in one form, whichever library holds them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Norm = tuple[Tensor, Tensor, float]


@dataclass(frozen=True)
class Block:
    """One pre-norm transformer block; linear weights as [out, in], query, key and value stacked in `qkv`."""

    norm_1: Norm
    qkv: Tensor
    qkv_bias: Tensor | None
    out: Tensor
    out_bias: Tensor | None
    norm_2: Norm
    up: Tensor
    up_bias: Tensor | None
    down: Tensor
    down_bias: Tensor | None


@dataclass(frozen=True)
class TowerWeights:
    """embedding [vocabulary, width], positions [context, width], projection [joint width, width] or None."""

    embedding: Tensor
    positions: Tensor
    blocks: tuple[Block, ...]
    final_norm: Norm
    projection: Tensor | None
    projection_bias: Tensor | None
    heads: int
    quick_gelu: bool
    start_of_text: int
    end_of_text: int

    @property
    def device(self) -> torch.device:
        return self.embedding.device

    @property
    def output_width(self) -> int:
        return self.embedding.shape[1] if self.projection is None else self.projection.shape[0]

    @property
    def nbytes(self) -> int:
        storages: dict[int, int] = {}

        def count(tensor: Tensor) -> Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        map_tensors(self, count)
        return sum(storages.values())

    def embedded(self, ids: Tensor) -> Tensor:
        """[..., width] of tokens [...], as they are in the table."""
        return _as_bytes(self.embedding)[ids].view(self.embedding.dtype)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> TowerWeights:
        """The same weights elsewhere; tensors that are there already are shared, not copied."""
        return map_tensors(self, lambda tensor: tensor.to(device, dtype))

    def fingerprint(self) -> str:
        """SHA-256 in hex of all values and of what else decides the output."""
        digest = hashlib.sha256(repr((self.heads, self.quick_gelu, self.start_of_text, self.end_of_text)).encode())

        def feed(tensor: Tensor) -> Tensor:
            digest.update(repr((tuple(tensor.shape), tensor.dtype)).encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
            return tensor

        map_tensors(self, feed)
        return digest.hexdigest()


def from_open_clip(model: nn.Module, start_of_text: int, end_of_text: int) -> TowerWeights | None:
    """The text tower of an open_clip model; None where it is of a kind this project does not evaluate itself
    (not causal, pooled elsewhere than at end-of-text, a CoCa class token, normalised queries, a Hugging Face tower)."""
    text: Any = getattr(model, "text", model)
    blocks: Any = getattr(getattr(text, "transformer", None), "resblocks", ())
    pool = getattr(text, "text_pool_type", None) or getattr(text, "pool_type", None) or "argmax"
    plain = len(blocks) > 0 and all(_is_plain_open_clip_block(block) for block in blocks)
    if not plain or pool not in ("argmax", "eos") or getattr(text, "cls_emb", None) is not None:
        return None
    if getattr(text, "attn_mask", None) is None or getattr(text, "use_pad_mask", False):
        return None
    projection, projection_bias = _open_clip_projection(text.text_projection)
    return TowerWeights(
        text.token_embedding.weight.detach(),
        text.positional_embedding.detach(),
        tuple(_open_clip_block(block) for block in blocks),
        norm_of(text.ln_final),
        projection,
        projection_bias,
        blocks[0].attn.num_heads,
        not isinstance(blocks[0].mlp.gelu, nn.GELU),
        start_of_text,
        end_of_text,
    )


def from_transformers(model: nn.Module, start_of_text: int, end_of_text: int) -> TowerWeights | None:
    """The text tower of a transformers CLIPModel or CLIPTextModelWithProjection; None where it is of another kind."""
    config: Any = getattr(model.config, "text_config", model.config)
    if getattr(config, "model_type", "") != "clip_text_model" or config.hidden_act not in (
        "gelu",
        "quick_gelu",
    ):
        return None
    text: Any = getattr(model, "text_model", model)
    projection: Any = getattr(model, "text_projection", None)
    return TowerWeights(
        text.embeddings.token_embedding.weight.detach(),
        text.embeddings.position_embedding.weight.detach(),
        tuple(transformers_block(layer) for layer in text.encoder.layers),
        norm_of(text.final_layer_norm),
        None if projection is None else projection.weight.detach(),
        None,
        config.num_attention_heads,
        config.hidden_act == "quick_gelu",
        start_of_text,
        end_of_text,
    )


def from_comfy(text_model: Any, projection: Tensor | None, start_of_text: int, end_of_text: int) -> TowerWeights:
    """The text tower of ComfyUI's own CLIP text model, which reForge has as well."""
    layers = text_model.encoder.layers
    return TowerWeights(
        text_model.embeddings.token_embedding.weight.detach(),
        text_model.embeddings.position_embedding.weight.detach(),
        tuple(transformers_block(layer) for layer in layers),
        norm_of(text_model.final_layer_norm),
        projection,
        None,
        layers[0].self_attn.heads,
        _is_quick_gelu(layers[0].mlp.activation),
        start_of_text,
        end_of_text,
    )


def _is_quick_gelu(activation: Any) -> bool:
    """By what it does: ComfyUI keeps the function, not its name."""
    probe = torch.linspace(-2, 2, 9)
    return not torch.allclose(activation(probe), functional.gelu(probe), atol=1e-4)


def _is_plain_open_clip_block(block: Any) -> bool:
    attention = getattr(block, "attn", None)
    return (
        isinstance(attention, nn.MultiheadAttention)
        and attention.in_proj_weight is not None
        and isinstance(getattr(block, "ls_1", nn.Identity()), nn.Identity)
        and isinstance(getattr(block, "ls_2", nn.Identity()), nn.Identity)
        and type(block.mlp.gelu).__name__ in ("GELU", "QuickGELU")
    )


def _open_clip_block(block: Any) -> Block:
    attention, mlp = block.attn, block.mlp
    return Block(
        norm_of(block.ln_1),
        attention.in_proj_weight.detach(),
        _detached(attention.in_proj_bias),
        attention.out_proj.weight.detach(),
        _detached(attention.out_proj.bias),
        norm_of(block.ln_2),
        mlp.c_fc.weight.detach(),
        _detached(mlp.c_fc.bias),
        mlp.c_proj.weight.detach(),
        _detached(mlp.c_proj.bias),
    )


def transformers_block(layer: Any) -> Block:
    """A layer of transformers' text tower, or of one with the same names."""
    attention, mlp = layer.self_attn, layer.mlp
    parts = (attention.q_proj, attention.k_proj, attention.v_proj)
    return Block(
        norm_of(layer.layer_norm1),
        _stacked([part.weight.detach() for part in parts]),
        torch.cat([part.bias.detach() for part in parts]),
        attention.out_proj.weight.detach(),
        _detached(attention.out_proj.bias),
        norm_of(layer.layer_norm2),
        mlp.fc1.weight.detach(),
        _detached(mlp.fc1.bias),
        mlp.fc2.weight.detach(),
        _detached(mlp.fc2.bias),
    )


def _stacked(weights: list[Tensor]) -> Tensor:
    return torch.cat([_as_bytes(each) for each in weights]).view(weights[0].dtype)


def _as_bytes(tensor: Tensor) -> Tensor:
    """Where each value is one, since older PyTorch neither joins nor picks values of eight bits."""
    return tensor.view(torch.uint8) if tensor.dtype.itemsize == 1 else tensor


def _open_clip_projection(projection: Any) -> tuple[Tensor | None, Tensor | None]:
    if projection is None:
        return None, None
    if isinstance(projection, nn.Linear):
        return projection.weight.detach(), _detached(projection.bias)
    return projection.detach().T, None


def norm_of(layer: Any) -> Norm:
    """Of a layer normalisation."""
    return layer.weight.detach(), layer.bias.detach(), layer.eps


def _detached(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach()


def map_tensors(value: Any, change: Any) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, tuple):
        return tuple(map_tensors(part, change) for part in value)
    if isinstance(value, (Block, TowerWeights)):
        return replace(value, **{part.name: map_tensors(getattr(value, part.name), change) for part in fields(value)})
    return value
