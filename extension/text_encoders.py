"""A webui's checkpoint: which family it is of, and its text encoders as they are, LoRAs included. Imports no webui."""

from __future__ import annotations

from typing import Any

import torch

from ..core.clip.tokenizers import TransformersTokenizer
from ..core.clip.weights import TowerWeights, from_open_clip, from_transformers
from ..core.embed.families import SD1, SD1_CLIP_SKIP, SD2, SDXL, Family
from ..core.embed.text_side import TextSide
from ..core.errors import ModelError

_START, _END = 49406, 49407
_CONTEXT = 77


def family_of(checkpoint: Any, clip_skip: int) -> Family:
    """clip_skip: 1 is the last layer. Raises ModelError for a checkpoint or a layer that no picture can speak to."""
    if getattr(checkpoint, "is_sdxl", False):
        return SDXL
    if getattr(checkpoint, "is_sd2", False):
        return SD2
    if not getattr(checkpoint, "is_sd1", False):
        raise ModelError(
            "The checkpoint is of a kind that no picture can speak to in a prompt's place; "
            "load one of Stable Diffusion 1, 2 or SDXL, or take the picture out."
        )
    if clip_skip > 2:
        raise ModelError(
            f"Clip skip is {clip_skip}, and pictures can take a prompt's place with 1 or 2; set one of them."
        )
    return SD1_CLIP_SKIP if clip_skip == 2 else SD1


def text_sides(checkpoint: Any, family: Family, device: torch.device) -> dict[str, TextSide]:
    """The checkpoint's text encoders by the family's names for them, on the device.

    Raises ModelError where they are not those of the family, as a refiner's are not.
    """
    embedders = [each for each in _embedders(checkpoint) if hasattr(each, "wrapped")]
    if len(embedders) != len(family.encoders):
        raise ModelError(
            f"The checkpoint has {len(embedders)} of the text encoders of {family.title}, which has "
            f"{len(family.encoders)}; a refiner, for one, cannot begin with a picture."
        )
    tokenizer = _clip_tokenizer(embedders)
    sides = {}
    for encoder, embedder in zip(family.encoders, embedders, strict=True):
        weights = _weights(embedder.wrapped)
        if weights is None:
            raise ModelError(f"The checkpoint's {encoder.name} is of a kind that is not known; take the picture out.")
        sides[encoder.name] = TextSide(weights.to(device, _dtype(weights, device)), tokenizer, encoder.padding)
    return sides


def _embedders(checkpoint: Any) -> list[Any]:
    conditioner = getattr(checkpoint, "conditioner", None)
    return [checkpoint.cond_stage_model] if conditioner is None else list(conditioner.embedders)


def _clip_tokenizer(embedders: list[Any]) -> Any:
    """All CLIPs have the same: the webui's own in transformers' form, or where it has none open_clip's."""
    for embedder in embedders:
        own = getattr(embedder.wrapped, "tokenizer", None)
        if getattr(own, "bos_token_id", None) == _START:
            return TransformersTokenizer(own, _CONTEXT)
    import open_clip

    from ..core.clip.tokenizers import OpenClipTokenizer

    return OpenClipTokenizer.of(open_clip.tokenize)


def _weights(embedder: Any) -> TowerWeights | None:
    """Webuis put a layer of their own around the table of words, for textual inversion."""
    transformer = getattr(embedder, "transformer", None)
    if transformer is None:
        model = embedder.model
        table = getattr(model.token_embedding, "wrapped", model.token_embedding)
        return from_open_clip(_Changed(model, token_embedding=table), _START, _END)  # type: ignore[arg-type]
    text = getattr(transformer, "text_model", transformer)
    table = getattr(text.embeddings.token_embedding, "wrapped", text.embeddings.token_embedding)
    changed = _Changed(text, embeddings=_Changed(text.embeddings, token_embedding=table))
    return from_transformers(_Changed(transformer, text_model=changed), _START, _END)  # type: ignore[arg-type]


def _dtype(weights: TowerWeights, device: torch.device) -> torch.dtype:
    """Half precision is slow on a CPU, and eight bits are only a way of storing."""
    own = weights.embedding.dtype
    return torch.float32 if device.type == "cpu" else own if own.itemsize > 1 else torch.float16


class _Changed:
    """A module as it is, but for some of its parts."""

    def __init__(self, module: Any, **parts: Any) -> None:
        self.__dict__.update(parts)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)
