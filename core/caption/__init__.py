"""Captions: a picture in, a sentence out."""

from .captioner import KNOWN_CAPTIONERS, Captioner, find_captioner, nearest_captioners

__all__ = ["KNOWN_CAPTIONERS", "Captioner", "find_captioner", "nearest_captioners"]
