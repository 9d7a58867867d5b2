"""A webui's checkpoint: which family it is of, and its text encoders as they are, LoRAs included. Imports no webui."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from ..core.clip.tokenizers import TransformersTokenizer
from ..core.clip.weights import TowerWeights, from_comfy, from_open_clip, from_transformers
from ..core.embed.families import FAMILIES, Encoder, Family
from ..core.embed.text_side import TextSide, sampled_fingerprint
from ..core.errors import ModelError
from .loras import Unpatched

_START, _END = 49406, 49407
_CONTEXT = 77
_FORGE_ENGINES = ("text_processing_engine", "text_processing_engine_l", "text_processing_engine_g")


def family_of(checkpoint: Any, clip_skip: int) -> Family:
    """clip_skip: 1 is the last layer. Raises ModelError for a checkpoint or a layer that no picture can speak to."""
    known = [family for family in FAMILIES.values() if family.encoders]
    possible = [family for family in known if getattr(checkpoint, f"is_{family.model}", False)]
    if not possible:
        raise ModelError(
            "The checkpoint is of a kind that no picture can speak to in a prompt's place",
            "load one of Stable Diffusion 1, 2 or SDXL, or take the picture out",
        )
    if len(possible) == 1:  # webuis stop such a model at one layer, whatever the setting
        return possible[0]
    by_setting = {family.layers_skipped + 1: family for family in possible}
    found = by_setting.get(max(1, clip_skip))  # below 1 a webui takes the last layer, too
    if found is None:
        raise ModelError(
            f"Clip skip is {clip_skip}, and pictures can take a prompt's place with "
            f"{' or '.join(map(str, by_setting))}",
            "set one of them",
        )
    return found


def checked_family(checkpoint: Any, clip_skip: int) -> Family:
    """As `family_of`, of a checkpoint that has the family's text encoders; a refiner has not. Raises ModelError."""
    family = family_of(checkpoint, clip_skip)
    _checked_encoders(checkpoint, family)
    return family


def text_sides(checkpoint: Any, family: Family, device: torch.device | None = None) -> dict[str, TextSide]:
    """The checkpoint's text encoders by the family's names for them, on the device, or where they are.

    Raises ModelError where they are not those of the family, as a refiner's are not.
    """
    found = _checked_encoders(checkpoint, family)
    tokenizer, unpatched = _clip_tokenizer([own for _, own in found]), Unpatched(checkpoint)
    sides = {}
    for encoder, (module, _) in zip(family.encoders, found, strict=True):
        weights = _weights(module, encoder)
        if weights is None:
            raise ModelError(f"The checkpoint's {encoder.name} is of a kind that is not known", "take the picture out")
        side = TextSide(_moved(weights, device), tokenizer, encoder.padding)
        before = unpatched.read(module, partial(_weights, encoder=encoder))
        if before is not None and sampled_fingerprint(before) != sampled_fingerprint(weights):
            side = replace(side, plain=partial(_plain, side, before, device))
        sides[encoder.name] = side
    return sides


def _plain(side: TextSide, weights: TowerWeights, device: torch.device | None) -> TextSide:
    return replace(side, weights=_moved(weights, device), plain=None)


def _moved(weights: TowerWeights, device: torch.device | None) -> TowerWeights:
    return weights if device is None else weights.to(device, _dtype(weights, device))


def _checked_encoders(checkpoint: Any, family: Family) -> list[tuple[Any, Any]]:
    found = _encoders(checkpoint)
    if len(found) != len(family.encoders):
        raise ModelError(
            f"The checkpoint has {len(found)} of the text encoders of {family.title}, which has {len(family.encoders)}",
            "load one that is no refiner, or take the picture out",
        )
    return found


def _encoders(checkpoint: Any) -> list[tuple[Any, Any]]:
    """Each text encoder, and its tokenizer where it has one in transformers' form."""
    engines = [getattr(checkpoint, name) for name in _FORGE_ENGINES if hasattr(checkpoint, name)]
    if engines:
        return [(engine.text_encoder, engine.tokenizer) for engine in engines]
    conditioner = getattr(checkpoint, "conditioner", None)
    embedders = [checkpoint.cond_stage_model] if conditioner is None else conditioner.embedders
    wrapped = [embedder.wrapped for embedder in embedders if hasattr(embedder, "wrapped")]
    return [(each, getattr(each, "tokenizer", None)) for each in wrapped]


def _clip_tokenizer(tokenizers: Sequence[Any]) -> Any:
    """All CLIPs have the same: the webui's own in transformers' form, or where it has none open_clip's."""
    for own in tokenizers:
        if getattr(own, "bos_token_id", None) == _START:
            return TransformersTokenizer(own, _CONTEXT)
    import open_clip

    from ..core.clip.tokenizers import OpenClipTokenizer

    return OpenClipTokenizer.of(open_clip.tokenize)


def _weights(module: Any, encoder: Encoder) -> TowerWeights | None:
    transformer = getattr(module, "transformer", None)
    if transformer is None:
        model = _Changed(module.model, token_embedding=_table(module.model.token_embedding))
        return from_open_clip(model, _START, _END)  # type: ignore[arg-type]
    text = getattr(transformer, "text_model", transformer)
    parts = _Changed(text.embeddings, token_embedding=_table(text.embeddings.token_embedding))
    text = _Changed(text, embeddings=parts)
    # where checkpoints leave it out, what Forge and reForge have there is empty, or anything
    projection = getattr(transformer, "text_projection", None) if encoder.keeps_projection else None
    if hasattr(text.encoder.layers[0].self_attn, "heads"):  # reForge has ComfyUI's text models
        return from_comfy(text, None if projection is None else projection.weight.detach(), _START, _END)
    changed = _Changed(transformer, text_model=text, text_projection=projection)
    return from_transformers(changed, _START, _END)  # type: ignore[arg-type]


def _table(embedding: Any) -> Any:
    """Webuis put a layer of their own around the table of words, for textual inversion."""
    return getattr(embedding, "wrapped", embedding)


def _dtype(weights: TowerWeights, device: torch.device) -> torch.dtype:
    """Half precision is slow on a CPU, and eight bits are only a way of storing. Forge keeps the table of words in full
    precision, whatever the rest is in."""
    own = weights.blocks[0].out.dtype
    return torch.float32 if device.type == "cpu" else own if own.itemsize > 1 else torch.float16


class _Changed:
    """A module as it is, but for some of its parts."""

    def __init__(self, module: Any, **parts: Any) -> None:
        self.__dict__.update(parts)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)
