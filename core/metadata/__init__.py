"""What a picture's file says of itself, read as somebody else's data."""

from .graph import KEPT
from .metadata import FileMetadata, prompt_in_file, read_metadata

__all__ = ["KEPT", "FileMetadata", "prompt_in_file", "read_metadata"]
