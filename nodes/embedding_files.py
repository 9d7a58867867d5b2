"""Prompt embeddings that exist already: blended, saved and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..core.embed import PromptEmbedding
from ..core.embed.composing import MIXES, mixed
from ..core.errors import EmbeddingError
from . import host
from .conditioning import PromptEmbeddingType, embedding_outputs, given
from .embedding import MIX_TOOLTIP
from .files import EMBEDDINGS, embedding_files
from .host import io

_ENDING = ".safetensors"


class BlendPromptEmbeddings(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="UnrenderBlendPromptEmbeddings",
            display_name="Blend Prompt Embeddings",
            category="unrender",
            description="Makes one prompt embedding of two, for the same family of models and the same text encoder.",
            hidden=[io.Hidden.unique_id],
            inputs=[
                PromptEmbeddingType.Input("first", tooltip="From Image To Prompt Embedding, or loaded."),
                PromptEmbeddingType.Input("second", tooltip="What it is blended with."),
                io.Float.Input(
                    "share",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="How much the second counts: 0 is the first alone, 1 the second alone.",
                ),
                io.Combo.Input("mix", options=list(MIXES), default=MIXES[0], tooltip=MIX_TOOLTIP),
            ],
            outputs=embedding_outputs(),
        )

    @classmethod
    def execute(cls, first: PromptEmbedding, second: PromptEmbedding, share: float, mix: Any) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id):
            return given(mixed([first, second], [1 - share, share], mix))


class SavePromptEmbedding(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="UnrenderSavePromptEmbedding",
            display_name="Save Prompt Embedding",
            category="unrender",
            description="Keeps a prompt embedding as a safetensors file under models/unrender.",
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
            inputs=[
                PromptEmbeddingType.Input("embedding", tooltip="From Image To Prompt Embedding or a blend."),
                io.String.Input(
                    "name",
                    default="picture",
                    tooltip=f"The file's name in models/unrender/{EMBEDDINGS}; one of that name is replaced.",
                ),
            ],
            outputs=[
                io.String.Output("path", display_name="path", tooltip="Where the file is."),
            ],
        )

    @classmethod
    def execute(cls, embedding: PromptEmbedding, name: str) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id):
            path = place_of(name)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise EmbeddingError(
                    f"{path.parent} cannot be made ({error.strerror}); choose another name."
                ) from error
            embedding.save(path)
        return io.NodeOutput(str(path), ui={"text": [str(path)]})


class LoadPromptEmbedding(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="UnrenderLoadPromptEmbedding",
            display_name="Load Prompt Embedding",
            category="unrender",
            description="A prompt embedding that was saved, here or by the unrender command.",
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Combo.Input(
                    "name",
                    options=list(embedding_files()),
                    tooltip=f"A safetensors file in models/unrender/{EMBEDDINGS}.",
                )
            ],
            outputs=embedding_outputs(),
        )

    @classmethod
    def fingerprint_inputs(cls, name: str) -> Any:
        path = embedding_files().get(name)
        return None if path is None else (path.stat().st_mtime_ns, path.stat().st_size)

    @classmethod
    def execute(cls, name: str) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id):
            path = embedding_files().get(name)
            if path is None:
                raise EmbeddingError(f"There is no prompt embedding {name!r} any more; choose another.")
            return given(PromptEmbedding.load(path))


def place_of(name: str) -> Path:
    """Where an embedding of that name is kept. Raises EmbeddingError for a name that leads out of the folder."""
    folder = host.model_folders()[0].resolve() / EMBEDDINGS
    path = (folder / f"{name.strip().removesuffix(_ENDING)}{_ENDING}").resolve()
    if folder not in path.parents or path.name == _ENDING:
        raise EmbeddingError(f"{name!r} is no name for a file in {folder}; give a plain one.")
    return path
