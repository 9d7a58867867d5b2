"""Unrender: from a picture back to the prompt, or the prompt embedding, that would have rendered it.

The names in `__all__` are the public ones (docs/python.md); each is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

WEB_DIRECTORY = "web"  # where ComfyUI finds the nodes' script and help pages

__all__ = ["CaptionSettings", "Engine", "Mode", "Picture", "Settings", "open_image"]
__all__ += ["Contender", "Interrogation", "PhraseGain", "Tag"]
__all__ += ["Describer", "Description", "EndpointSettings", "TagSettings"]
__all__ += ["Analysis", "Box", "CategoryAnalysis", "HeatMap", "Likelihood", "Location", "Match", "Ranked"]
__all__ += ["Blend", "GapCorrection", "PromptEmbedding"]
__all__ += ["Clip", "Progress", "Task"]
__all__ += ["Batch", "FolderSource", "Item", "Outcome", "RayBatch", "Shard", "Sink", "Source", "Template"]
__all__ += ["sink_named", "source_named"]
__all__ += ["FileMetadata", "Finding", "Found", "PictureIndex", "Report", "TagFilter", "Updated"]
__all__ += ["curate", "read_index", "read_metadata", "search", "update_index", "write_page"]
__all__ += ["BatchError", "Cancelled", "EmbeddingError", "ImageError", "IndexFileError", "MissingPackageError"]
__all__ += ["ModelError", "NotOnHubError", "PhraseError", "SettingsError", "TextFileError", "UndescribedError"]
__all__ += ["UnrenderError"]

_HOMES = {
    "batch": "Batch FolderSource Item Outcome RayBatch Shard Sink Source Template sink_named source_named",
    "clip": "Clip",
    "curate": "Finding Report curate write_page",
    "describe": "Describer Description",
    "embed": "PromptEmbedding",
    "embed.blend": "Blend",
    "embed.gap": "GapCorrection",
    "engine": "Engine",
    "errors": "BatchError Cancelled EmbeddingError ImageError IndexFileError MissingPackageError ModelError "
    "NotOnHubError PhraseError SettingsError TextFileError UndescribedError UnrenderError",
    "images": "Picture open_image",
    "index": "Found PictureIndex TagFilter Updated read_index search update_index",
    "metadata": "FileMetadata read_metadata",
    "progress": "Progress Task",
    "results": "Contender Interrogation PhraseGain",
    "settings": "CaptionSettings EndpointSettings Mode Settings TagSettings",
    "study.analyze": "Analysis CategoryAnalysis Likelihood",
    "study.explain": "Box HeatMap Location",
    "study.match": "Match Ranked",
    "tags": "Tag",
}
"""The modules of core that public names come from."""

_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}

# isort: off
if TYPE_CHECKING:
    from .core.batch import Batch, FolderSource, Item, Outcome, RayBatch, Shard, Sink, Source, Template
    from .core.batch import sink_named, source_named
    from .core.clip import Clip
    from .core.curate import Finding, Report, curate, write_page
    from .core.describe import Describer, Description
    from .core.embed import PromptEmbedding
    from .core.embed.blend import Blend
    from .core.embed.gap import GapCorrection
    from .core.engine import Engine
    from .core.errors import BatchError, Cancelled, EmbeddingError, ImageError, IndexFileError, MissingPackageError
    from .core.errors import ModelError, NotOnHubError, PhraseError, SettingsError, TextFileError, UndescribedError
    from .core.errors import UnrenderError
    from .core.images import Picture, open_image
    from .core.index import Found, PictureIndex, TagFilter, Updated, read_index, search, update_index
    from .core.metadata import FileMetadata, read_metadata
    from .core.progress import Progress, Task
    from .core.results import Contender, Interrogation, PhraseGain
    from .core.settings import CaptionSettings, EndpointSettings, Mode, Settings, TagSettings
    from .core.study.analyze import Analysis, CategoryAnalysis, Likelihood
    from .core.study.explain import Box, HeatMap, Location
    from .core.study.match import Match, Ranked
    from .core.tags import Tag
# isort: on


def __getattr__(name: str) -> Any:
    """Hosts ask for names that are not here (ComfyUI for NODE_CLASS_MAPPINGS), and get their answer without imports."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".core.{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


async def comfy_entrypoint():
    """What ComfyUI calls to get the nodes; nothing of them is imported elsewhere."""
    from .nodes.extension import extension

    return extension()
