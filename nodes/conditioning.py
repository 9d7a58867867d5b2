"""Prompt embeddings as a graph passes them around: the value itself, and the CONDITIONING that a sampler takes."""

from __future__ import annotations

from typing import Any

from ..core.embed import PromptEmbedding
from . import host
from .host import io
from .links import linked

PromptEmbeddingType = io.Custom("PROMPT_EMBEDDING")


def embedding_outputs() -> list[Any]:
    """What every node that makes a prompt embedding gives."""
    return [
        io.Conditioning.Output(
            "conditioning",
            display_name="conditioning",
            tooltip="In the place of CLIP Text Encode's: for a sampler, or for ComfyUI's nodes that change one.",
        ),
        PromptEmbeddingType.Output(
            "embedding", display_name="embedding", tooltip="For Blend and Save Prompt Embedding."
        ),
    ]


def given(embedding: PromptEmbedding) -> io.NodeOutput:
    """The values of `embedding_outputs`."""
    return io.NodeOutput(as_conditioning(embedding), embedding)


def given_embedding(value: Any, name: str) -> PromptEmbedding:
    """What is connected to a PROMPT_EMBEDDING's input of that name. Raises SettingsError."""
    return linked(value, PromptEmbedding, name)


def as_conditioning(embedding: PromptEmbedding) -> list[list[Any]]:
    assert embedding.states is not None
    options = {} if embedding.pooled is None else {"pooled_output": host.as_result(embedding.pooled[None])}
    return [[host.as_result(embedding.states[None]), options]]
