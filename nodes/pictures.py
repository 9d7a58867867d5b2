"""Pictures as the tensors ComfyUI passes around."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from . import host


def as_image(picture: Image.Image) -> Tensor:
    """IMAGE [1, height, width, 3], from 0 to 1."""
    return host.as_picture(torch.from_numpy(np.asarray(picture.convert("RGB"), dtype=np.float32) / 255)[None])


def as_mask(values: np.ndarray) -> Tensor:
    """MASK [1, height, width] of values from 0 to 1, [height, width]."""
    return host.as_picture(torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))[None])


def as_batch(tensors: Sequence[Tensor]) -> Tensor:
    """One batch of pictures or masks of one size."""
    return torch.cat(list(tensors))
