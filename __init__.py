"""Unrender: from a picture back to the prompt, or the prompt embedding, that would have rendered it."""

__version__ = "0.1.0"
