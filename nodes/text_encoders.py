"""What a graph's CLIP is for, and its text encoders as they are: fine-tuned, merged, patched by LoRAs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..core.clip.tokenizers import TransformersTokenizer
from ..core.clip.weights import TowerWeights, from_comfy
from ..core.embed.families import CLIP_G, CLIP_H, CLIP_L, SD1, SD1_CLIP_SKIP, SD2, SDXL, Encoder, Family
from ..core.embed.text_side import TextSide, sampled_fingerprint
from ..core.errors import ModelError
from . import host

_FAMILIES: Mapping[tuple[str, ...], Mapping[int | None, Family]] = {
    (CLIP_L,): {None: SD1, -1: SD1, -2: SD1_CLIP_SKIP},
    (CLIP_H,): {None: SD2, -2: SD2},
    (CLIP_L, CLIP_G): {None: SDXL, -2: SDXL},
}
"""By the text encoders a CLIP has, and the layer that CLIP Set Last Layer stops it at."""


def family_of(clip: Any) -> Family:
    """Raises ModelError for a CLIP of another family than Stable Diffusion 1, 2 and XL, or stopped at another layer."""
    layers = _FAMILIES.get(tuple(host.stable_diffusion_encoders(clip)))
    if layers is None:
        raise ModelError(
            "A picture can take a prompt's place in Stable Diffusion 1, 2 and XL alone, and this CLIP is of another "
            "model; load a checkpoint of one of them."
        )
    stopped = host.clip_last_layer(clip)
    if stopped not in layers:
        possible = " or ".join(str(layer) for layer in layers if layer is not None)
        raise ModelError(
            f"The CLIP is stopped at layer {stopped}, for which no picture can be embedded; "
            f"set {possible} in CLIP Set Last Layer."
        )
    return layers[stopped]


def text_sides(clip: Any, family: Family) -> dict[str, TextSide]:
    """The family's text encoders by name, in place: valid until ComfyUI changes the CLIP's patches."""
    host.bring_patchers([clip.patcher])
    return {encoder.name: _side(clip, encoder) for encoder in family.encoders}


def tower_weights(clip: Any, part: str, projection: Tensor | None) -> TowerWeights:
    """The weights of one of the CLIP's text encoders as they are used."""
    model = host.clip_text_encoders(clip)[part].text_model
    _, start, end = host.clip_tokenizer(clip, part)
    return from_comfy(model, projection, start, end)


def tokenizer_of(clip: Any, part: str, weights: TowerWeights) -> TransformersTokenizer:
    return TransformersTokenizer(host.clip_tokenizer(clip, part)[0], len(weights.positions))


def _side(clip: Any, encoder: Encoder) -> TextSide:
    # checkpoints leave CLIP-L's projection out, and ComfyUI fills the gap with whatever is in memory
    own = None if encoder.name == CLIP_L else host.clip_text_encoders(clip)[encoder.name].text_projection.weight
    weights = tower_weights(clip, encoder.name, None if own is None else own.detach())
    fingerprint = sampled_fingerprint(weights)
    return TextSide(weights, tokenizer_of(clip, encoder.name, weights), encoder.padding, fingerprint)
