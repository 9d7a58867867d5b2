"""What the tests of heat maps share: a CLIP that sees brightness alone, pictures with a spot, and a scene's phrase."""

from __future__ import annotations

import torch
from PIL import Image, ImageDraw
from torch.nn import functional as F
from unrender.core.clip.preprocess import Preprocess
from unrender.core.micro.wordings import WORDS


def phrase_for(shape, colour):
    return f"a {colour} {WORDS['shape'][shape][0]}"


class BrightnessClip:
    """Finds every phrase in what is bright."""

    def __init__(self, preprocess=None):
        self.preprocess = preprocess or Preprocess((64, 64), (0, 0, 0), (1, 1, 1))

    def encode_patches(self, image):
        brightness = F.avg_pool2d(self.preprocess(image).mean(0)[None, None], 8)[0, 0]
        return torch.stack([brightness, torch.ones_like(brightness)], -1)

    def encode_texts(self, texts):
        return torch.tensor([[1.0, 0.0], *[[0.0, 0.0]] * (len(texts) - 1)])

    def seen_region(self, size):
        return self.preprocess.region(size)


def spot(width, height, left, top, side):
    picture = Image.new("RGB", (width, height), "black")
    ImageDraw.Draw(picture).rectangle((left, top, left + side, top + side), "white")
    return picture
