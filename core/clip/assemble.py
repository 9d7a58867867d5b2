"""A `Clip` around a loaded model of either library: its vision tower, and its text tower in the project's own form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ..devices import Arithmetic, pick_arithmetic, pick_device
from ..errors import ModelError
from ..foreign import first_line, library_reads
from ..shortage import is_out_of_memory
from . import weights as tower_weights
from .deep_prompts import open_clip_blocks, transformers_blocks
from .model import Clip, VisionTower
from .patches import open_clip_patches, transformers_patches
from .text_encoder import LibraryEncoder, TextEncoder, TowerEncoder, agrees_with_library
from .text_tower import TextTower
from .tokenizers import LibraryTokenizer, OpenClipTokenizer, Tokenizer, TransformersTokenizer


@dataclass(frozen=True)
class Placement:
    """Device and arithmetic of a model; moves: whether it has to be brought there."""

    device: torch.device
    arithmetic: Arithmetic
    moves: bool


def placement_of(model: nn.Module, device: str | None, precision: str | None) -> Placement:
    """Where the caller wants the model; where and as it is already, unless told otherwise."""
    # normalisation layers may stay float32 in a half-precision model: convolutions tell its arithmetic
    main = next((p for p in model.parameters() if p.ndim == 4), next(model.parameters()))
    wanted = main.device if device is None else pick_device(device)
    arithmetic = Arithmetic(main.dtype, main.dtype, None) if precision is None else pick_arithmetic(precision, wanted)
    return Placement(wanted, arithmetic, moves=device is not None or precision is not None)


def from_open_clip(
    model: nn.Module,
    preprocess: Callable[[Image.Image], Tensor],
    tokenizer: Any,
    name: str,
    placement: Placement,
) -> Clip:
    """See `Clip.from_open_clip`."""
    tokens: Tokenizer | None = OpenClipTokenizer.of(tokenizer)
    weights = None
    if tokens is None:
        tokens = LibraryTokenizer(tokenizer)
    else:
        weights = tower_weights.from_open_clip(model, tokens.start_of_text, tokens.end_of_text)
    context = int(getattr(model, "context_length", 77))
    text = _text_side(model.eval(), weights, tokens, context, placement, name)
    return _assembled(name, model, _open_clip_vision(model), preprocess, text, placement)


def from_transformers(
    model: nn.Module, tokenizer: Any, preprocess: Callable[[Image.Image], Tensor], name: str, placement: Placement
) -> Clip:
    """See `Clip.from_transformers`."""
    config: Any = model.config
    context = int(getattr(config.text_config, "max_position_embeddings", 77))
    tokens: Tokenizer = TransformersTokenizer(tokenizer, context)
    if tokenizer.bos_token_id is None:
        tokens = LibraryTokenizer(tokens.batch)
    weights = tower_weights.from_transformers(model, tokens.start_of_text, tokens.end_of_text)
    text = _text_side(model.eval(), weights, tokens, context, placement, name)
    return _assembled(name, model, _transformers_vision(model), preprocess, text, placement)


def from_micro(
    model: Any, tokens: Tokenizer, preprocess: Callable[[Image.Image], Tensor], placement: Placement
) -> Clip:
    """The package's own model in its own modules, whose text tower needs no comparison with a library's."""
    weights = tower_weights.from_transformers(model, tokens.start_of_text, tokens.end_of_text)
    if weights is None:
        raise ModelError("The micro model is not the one of this version", "install this package again")
    text = _own_text(weights, tokens, placement)
    return _assembled("micro", model, _transformers_vision(model), preprocess, text, placement)


def _assembled(
    name: str,
    model: nn.Module,
    vision: VisionTower,
    preprocess: Callable[[Image.Image], Tensor],
    text: TextEncoder,
    placement: Placement,
) -> Clip:
    if placement.moves:
        vision.module.to(placement.device, placement.arithmetic.vision)
    arithmetic = placement.arithmetic
    scale = _logit_scale(model)
    return Clip(name, vision, preprocess, text, scale, placement.device, arithmetic.vision, arithmetic.widens)


def _text_side(
    model: Any,
    weights: tower_weights.TowerWeights | None,
    tokenizer: Tokenizer,
    context_length: int,
    placement: Placement,
    name: str,
) -> TextEncoder:
    """The own tower, verified against the library where the model is now and then brought to its placement;
    the library's encoder where there is no tower or it disagrees."""
    encode_batch = _library_text(model)
    here = next(model.parameters()).device
    library = LibraryEncoder(encode_batch, tokenizer, context_length, here, name)
    with library_reads(f"{name} cannot encode texts"):
        agrees = weights is not None and agrees_with_library(weights, library, tokenizer)
    if weights is not None and agrees:
        return _own_text(weights, tokenizer, placement)
    model.to(placement.device)
    encoder = LibraryEncoder(encode_batch, tokenizer, context_length, placement.device, name, model)
    with library_reads(f"{name} cannot encode texts"):
        encoder.encode(["a"])
    return encoder


def _own_text(weights: tower_weights.TowerWeights, tokenizer: Tokenizer, placement: Placement) -> TowerEncoder:
    arithmetic = placement.arithmetic
    tower = TextTower(weights.to(placement.device, arithmetic.text))
    rough = arithmetic.rough and TextTower(weights.to(placement.device, arithmetic.rough))
    return TowerEncoder(tower, tokenizer, rough)


def _library_text(model: Any) -> Callable[[Tensor], Tensor]:
    if hasattr(model, "encode_text"):
        return model.encode_text

    def encode(ids: Tensor) -> Tensor:
        out = model.get_text_features(input_ids=ids)
        return out if isinstance(out, Tensor) else out.pooler_output

    return encode


def _open_clip_vision(model: Any) -> VisionTower:
    if type(model).__name__ in ("CLIP", "CustomTextCLIP"):
        visual = model.visual
        return VisionTower(_asked(visual), visual, open_clip_patches(visual), open_clip_blocks(visual))
    return VisionTower(_asked(model.encode_image), model)


def _transformers_vision(model: Any) -> VisionTower:
    """Holds the picture side alone, so that the rest of a loaded model can be freed."""
    if not hasattr(model, "vision_model"):
        raise ModelError(f"A {type(model).__name__} has no picture encoder", "give a CLIPModel or SiglipModel")
    tower = model.vision_model
    if not hasattr(model, "visual_projection"):
        return VisionTower(
            _asked(lambda pixels: tower(pixel_values=pixels).pooler_output),
            tower,
            transformers_patches(tower, None),
            transformers_blocks(tower),
        )
    projection = model.visual_projection
    return VisionTower(
        _asked(lambda pixels: projection(tower(pixel_values=pixels).pooler_output)),
        nn.ModuleList([tower, projection]),
        transformers_patches(tower, projection),
        transformers_blocks(tower),
    )


def _asked(encode: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """With a sentence for what a library raises where its model's configuration does not fit its weights."""

    def see(pixels: Tensor) -> Tensor:
        try:
            return encode(pixels)
        except (ValueError, TypeError, IndexError, KeyError, AttributeError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise
            raise ModelError(f"The model does not see pictures the way it is asked ({first_line(error)})") from error

    return see


def _logit_scale(model: Any) -> float:
    """The factor on cosine similarities before a softmax, 100 for most trained CLIPs."""
    value = getattr(model, "logit_scale", None)
    return 100.0 if value is None else float(value.detach().float().exp().reshape(-1)[0])
