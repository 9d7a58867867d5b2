"""Prompt embeddings that exist already: blended, saved and loaded."""

from __future__ import annotations

from typing import Any

from ..core.embed import PromptEmbedding
from ..core.embed.composing import mixed
from ..core.embed.folder import FOLDER, path_for, save_as
from ..core.embed.kinds import MIXES
from ..core.errors import EmbeddingError
from ..core.foreign import shown
from . import host
from .again import Again, stamp
from .conditioning import PromptEmbeddingType, embedding_outputs, given, given_embedding
from .embedding import MIX_TOOLTIP
from .files import embedding_files
from .host import io
from .left import LEFT
from .widgets import holds_to_widgets

_NOTHING_SAVED = "nothing saved yet"


def _gone(name: str) -> int | None:
    """How often what was saved by that name was found gone."""
    try:
        path = path_for(host.model_folders()[0] / FOLDER, name)
    except EmbeddingError:
        return None
    return LEFT.times_file_gone(path)


_SAVED = Again(_gone)
_LOADED = Again(lambda name: stamp(embedding_files().get(name)))


class BlendPromptEmbeddings(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderBlendPromptEmbeddings",
            display_name="Blend Prompt Embeddings",
            category="unrender",
            search_aliases=["mix images", "image mix", "conditioning average"],
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
    @holds_to_widgets
    def execute(cls, first: PromptEmbedding, second: PromptEmbedding, share: float, mix: Any) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id):
            both = [given_embedding(first, "first"), given_embedding(second, "second")]
            return given(mixed(both, [1 - share, share], mix))


class SavePromptEmbedding(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderSavePromptEmbedding",
            display_name="Save Prompt Embedding",
            category="unrender",
            search_aliases=["save conditioning"],
            description="Keeps a prompt embedding as a safetensors file under models/unrender.",
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
            inputs=[
                PromptEmbeddingType.Input("embedding", tooltip="From Image To Prompt Embedding or a blend."),
                io.String.Input(
                    "name",
                    default="picture",
                    tooltip=f"The file's name in models/unrender/{FOLDER}; one of that name is replaced.",
                ),
            ],
            outputs=[
                io.String.Output("path", display_name="path", tooltip="Where the file is."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, name: str | None = "", **_: Any) -> Any:
        """Other when what was saved is gone."""
        return _SAVED.fingerprint(name)

    @classmethod
    @holds_to_widgets
    def execute(cls, embedding: PromptEmbedding, name: str) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id):
            path = save_as(given_embedding(embedding, "embedding"), host.model_folders()[0] / FOLDER, name)
            LEFT.wrote(path)
            _SAVED.given(name)
        return io.NodeOutput(str(path), ui=host.shown(str(path)))


class LoadPromptEmbedding(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return host.schema(
            node_id="UnrenderLoadPromptEmbedding",
            display_name="Load Prompt Embedding",
            category="unrender",
            search_aliases=["load conditioning"],
            description="A prompt embedding that was saved, here or by the unrender command.",
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Combo.Input(
                    "name",
                    options=list(embedding_files()) or [_NOTHING_SAVED],
                    tooltip=f"A safetensors file in models/unrender/{FOLDER}.",
                )
            ],
            outputs=embedding_outputs(),
        )

    @classmethod
    def fingerprint_inputs(cls, name: str | None = None) -> Any:
        return _LOADED.fingerprint(name)

    @classmethod
    def validate_inputs(cls, name: str | None) -> bool | str:
        """None: what a link gives, which is known once the graph runs."""
        return True if name is None or str(name) in embedding_files() else _missing(name)

    @classmethod
    @holds_to_widgets
    def execute(cls, name: str) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id):
            path = embedding_files().get(name)
            if path is None:
                raise EmbeddingError(_missing(name))
            _LOADED.given(name)
            return given(PromptEmbedding.load(path))


def _missing(name: str) -> str:
    if name == _NOTHING_SAVED:
        return "No prompt embedding is chosen; save one with Save Prompt Embedding, press R, and choose it."
    return f"There is no prompt embedding {shown(str(name))!r} any more; choose another."
