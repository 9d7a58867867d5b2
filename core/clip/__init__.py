"""CLIP models from anywhere, as one `Clip`."""

from .model import Clip

__all__ = ["Clip"]
