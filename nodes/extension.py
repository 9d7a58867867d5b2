"""What ComfyUI's loader asks for."""

from __future__ import annotations

from . import host
from .choosing import NearestRendering, SeveralPrompts
from .describing import DescribePicture, DescriberServer
from .embedding import ImageToPromptEmbedding
from .embedding_files import BlendPromptEmbeddings, LoadPromptEmbedding, SavePromptEmbedding
from .folder import CaptionFolder
from .interrogate import Interrogate
from .loading import InterrogatorFromGraph, LoadInterrogator
from .reading import ReadImagePrompt
from .study import Analyze, Locate, MatchPhrases
from .tagging import TagPicture
from .tuning import TuneOnPictures

NODES: list[type[host.io.ComfyNode]] = [
    Interrogate,
    LoadInterrogator,
    InterrogatorFromGraph,
    TagPicture,
    DescribePicture,
    DescriberServer,
    Analyze,
    MatchPhrases,
    Locate,
    SeveralPrompts,
    NearestRendering,
    ReadImagePrompt,
    CaptionFolder,
    ImageToPromptEmbedding,
    BlendPromptEmbeddings,
    SavePromptEmbedding,
    LoadPromptEmbedding,
    TuneOnPictures,
]


class UnrenderExtension(host.ComfyExtension):
    async def get_node_list(self) -> list[type[host.io.ComfyNode]]:
        return NODES


def extension() -> UnrenderExtension:
    host.register_folder()
    return UnrenderExtension()
