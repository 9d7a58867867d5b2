"""What a CLIP sees in a folder's pictures, kept in one file, so that the folder can be searched and looked through."""

from .file import Entry, PictureIndex, index_file, read_index, write_index
from .search import Found, search
from .sheet import draw_found
from .tagging import for_filters
from .tags import TagFilter, TagTable
from .update import Updated, update_index

__all__ = [
    "Entry",
    "Found",
    "PictureIndex",
    "TagFilter",
    "TagTable",
    "Updated",
    "draw_found",
    "for_filters",
    "index_file",
    "read_index",
    "search",
    "update_index",
    "write_index",
]
