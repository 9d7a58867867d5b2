"""Model files: on disk where they are, from a Hugging Face hub where they are not. Safetensors only."""

from .cache import StoredRepo
from .client import Hub

__all__ = ["Hub", "StoredRepo"]
