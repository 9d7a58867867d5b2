"""What sheets of pictures have in common: their colours, and pictures at a size."""

from __future__ import annotations

from PIL import Image

PAPER, INK, FAINT = (255, 255, 255), (33, 37, 41), (108, 117, 125)


def at_size(picture: Image.Image, side: int) -> Image.Image:
    """The picture with that longer side. A small one keeps its pixels: smoothing would show what is not there."""
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.convert("RGB").resize(size, Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS)
