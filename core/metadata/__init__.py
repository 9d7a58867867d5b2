"""What a picture's file says of itself, read as somebody else's data."""

from .metadata import FileMetadata, prompt_in_file, read_metadata

__all__ = ["FileMetadata", "prompt_in_file", "read_metadata"]
