"""Many pictures: from sources, through the engine in chunks, to sinks, safe against any end of the process."""

from .folder_captions import Captioned, caption_folder
from .folders import FilesSource, FolderSource, JoinedSource, Source
from .items import Item, Outcome
from .kinds import sink_named, source_named
from .on_ray import RayBatch
from .renaming import undo
from .run import Batch
from .shards import Shard
from .sinks import Existing, Sink
from .template import Template
from .texts import TextSink

__all__ = [
    "Batch",
    "Captioned",
    "Existing",
    "FilesSource",
    "FolderSource",
    "Item",
    "JoinedSource",
    "Outcome",
    "RayBatch",
    "Shard",
    "Sink",
    "Source",
    "Template",
    "TextSink",
    "caption_folder",
    "sink_named",
    "source_named",
    "undo",
]
