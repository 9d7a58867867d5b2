"""A CLIP's eye with gradients: for pictures that are moved by what the model sees of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from .model import Clip


@dataclass(frozen=True)
class Sight:
    """size: (height, width) of what the model looks at. shift, scale [3, 1, 1]: of its pixels, from values of 0..1."""

    clip: Clip
    size: tuple[int, int]
    shift: Tensor
    scale: Tensor

    @classmethod
    def of(cls, clip: Clip) -> Sight:
        """As the model's own preprocessing has it, whatever that is: a black and a white picture tell."""
        black, white = (clip.view(Image.new("RGB", (64, 64), colour)) for colour in ("black", "white"))
        shift, scale = black.amax((1, 2), keepdim=True), (white - black).amax((1, 2), keepdim=True)
        height, width = black.shape[-2:]
        return cls(clip, (height, width), shift.to(clip.device), scale.to(clip.device))

    def features(self, pixels: Tensor) -> Tensor:
        """[pictures, joint width], normalised, of values 0..1 [pictures, 3, height, width], which are resized to what
        the model looks at, without a crop; with the gradient of the pixels."""
        seen = pixels.to(self.clip.device, torch.float32)
        if tuple(seen.shape[-2:]) != self.size:
            seen = interpolate(seen, self.size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)
        return normalize(self.clip.encode_with_gradients(seen * self.scale + self.shift), dim=-1)
