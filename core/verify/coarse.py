"""How far a rendering is from its picture in what no word follows: where which colours lie.

Both are seen as 8 by 8 fields, each in its mean colour: position, palette and background are in them, shapes and
textures are not. A measure beside a judge, never in its place: a grey picture is near to all.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

FIELDS = 8
"""To a side."""


def coarse_distance(picture: Image.Image, rendering: Image.Image) -> float:
    """Mean absolute difference of the fields' colours, of sRGB values from 0 to 1: 0 is the same, 1 black against
    white. Of the picture the middle counts that has the rendering's shape."""
    middle = ImageOps.fit(picture.convert("RGB"), rendering.size, Image.Resampling.BOX)
    return float(np.abs(_fields(middle) - _fields(rendering)).mean())


def _fields(image: Image.Image) -> np.ndarray:
    """[8, 8, 3], float64."""
    small = image.convert("RGB").resize((FIELDS, FIELDS), Image.Resampling.BOX)
    return np.asarray(small, np.float64) / 255
