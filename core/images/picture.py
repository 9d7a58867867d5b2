"""What a user may hand over as a picture, as a type."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, Union

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor

Picture = Union[str, os.PathLike[str], bytes, bytearray, memoryview, BinaryIO, Image.Image, np.ndarray, "Tensor"]
"""What `open_image` opens: a path, a file's bytes, a binary file object, a PIL image, an array, a tensor."""

Pictures = Picture | Sequence[Picture] | Iterator[Image.Image]
"""What `open_each` opens: the same, a list or tuple of such, or an iterator of opened ones."""
