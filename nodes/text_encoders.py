"""What a graph's CLIP is for, and its text encoders as they are: fine-tuned, merged, patched by LoRAs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from ..core.clip.tokenizers import TransformersTokenizer
from ..core.clip.weights import TowerWeights, from_comfy
from ..core.embed.families import FAMILIES, Encoder, Family
from ..core.embed.text_side import TextSide, sampled_fingerprint
from ..core.errors import ModelError
from . import host
from .links import check_clip


def _by_encoders() -> Mapping[tuple[str, ...], Mapping[int | None, Family]]:
    """By the text encoders a CLIP has, and the layer that CLIP Set Last Layer stops it at; of two the first."""
    found: dict[tuple[str, ...], dict[int | None, Family]] = {}
    for family in FAMILIES.values():
        if family.encoders:
            layers = found.setdefault(tuple(encoder.name for encoder in family.encoders), {None: family})
            layers.setdefault(-1 - family.layers_skipped, family)
    return found


_FAMILIES = _by_encoders()


def family_of(clip: Any) -> Family:
    """Raises ModelError for a CLIP of another family than Stable Diffusion 1, 2 and XL, or stopped at another layer,
    SettingsError for no CLIP."""
    check_clip(clip)
    layers = _FAMILIES.get(tuple(host.stable_diffusion_encoders(clip)))
    if layers is None:
        raise ModelError(
            "A picture can take a prompt's place in Stable Diffusion 1, 2 and XL alone, and this CLIP is of another "
            "model",
            "load a checkpoint of one of them",
            "for FLUX open the workflow FLUX Redux and prompt",
        )
    stopped = host.clip_last_layer(clip)
    if stopped not in layers:
        possible = " or ".join(str(layer) for layer in layers if layer is not None)
        raise ModelError(
            f"The CLIP is stopped at layer {stopped}, for which no picture can be embedded",
            f"set {possible} in CLIP Set Last Layer",
        )
    return layers[stopped]


def text_sides(clip: Any, family: Family) -> dict[str, TextSide]:
    """The family's text encoders by name, in place: valid until ComfyUI changes the CLIP's patches."""
    host.bring_patchers([clip.patcher])
    return {encoder.name: _side(clip, encoder) for encoder in family.encoders}


def tower_weights(clip: Any, part: str, projection: Tensor | None, patched: bool = True) -> TowerWeights:
    """The weights of one of the CLIP's text encoders as they are used, or without patches."""
    model = host.clip_text_encoders(clip, patched)[part].text_model
    _, start, end = host.clip_tokenizer(clip, part)
    return from_comfy(model, projection, start, end)


def tokenizer_of(clip: Any, part: str, weights: TowerWeights) -> TransformersTokenizer:
    return TransformersTokenizer(host.clip_tokenizer(clip, part)[0], len(weights.positions))


def _side(clip: Any, encoder: Encoder, patched: bool = True) -> TextSide:
    own = None
    if encoder.keeps_projection:  # ComfyUI fills the gap with whatever is in memory
        own = host.clip_text_encoders(clip, patched)[encoder.name].text_projection.weight.detach()
    weights = tower_weights(clip, encoder.name, own, patched)
    fingerprint = sampled_fingerprint(weights)
    plain = partial(_side, clip, encoder, False) if patched and host.is_patched(clip, encoder.name) else None
    return TextSide(weights, tokenizer_of(clip, encoder.name, weights), encoder.padding, fingerprint, plain)
