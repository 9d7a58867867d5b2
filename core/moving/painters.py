"""What a picture is made of while it is optimised, where nothing but a CLIP says what a picture is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import conv2d

_LEAST, _MOST = 0.01, 0.99  # of a picture to begin with: what is quite black or white has no gradient


class Painter(Protocol):
    """values: what is moved. rate: of Adam's first steps."""

    values: list[Tensor]
    rate: float

    def picture(self) -> Tensor:
        """Values about 0..1 [1, 3, height, width], with the gradient of `values`."""
        ...

    def steered(self, gradients: Sequence[Tensor], generator: torch.Generator) -> Sequence[Tensor]:
        """What a step is made of, of the gradients of `values`: for who holds them to something."""
        ...


class Pixels:
    """A picture by its frequencies, low ones moving farther than high ones, without which every pixel goes its own way
    (Olah, Mordvintsev and Schubert, Feature Visualization, 2017). init: of any size; None for grey with a little
    noise."""

    rate = 0.05

    def __init__(self, size: tuple[int, int], init: Image.Image | None, seed: int, device: torch.device) -> None:
        width, height = size
        down = torch.fft.fftfreq(height)[:, None]
        across = torch.fft.rfftfreq(width)[None]
        least = 1 / max(width, height)
        self._scale = ((down**2 + across**2).sqrt().clamp_min(least).reciprocal() * least).to(device)
        self._size = (height, width)
        if init is None:
            noise = torch.randn((1, 3, *self._scale.shape, 2), generator=_generator(seed))
            spectrum = 0.02 * noise.to(device)
        else:
            values = fitted_values(init, size).to(device).clamp(_LEAST, _MOST)
            found = torch.fft.rfft2(values.logit(), norm="ortho")
            spectrum = torch.view_as_real(found) / (_REACH * self._scale[..., None])
        self.values = [spectrum.requires_grad_()]

    def picture(self) -> Tensor:
        (spectrum,) = self.values
        scaled = torch.view_as_complex((_REACH * self._scale[..., None] * spectrum).contiguous())
        return torch.fft.irfft2(scaled, s=self._size, norm="ortho").sigmoid()

    def steered(self, gradients: Sequence[Tensor], generator: torch.Generator) -> Sequence[Tensor]:
        return gradients


_REACH = 30.0
"""How far a whole unit of the lowest frequency moves a pixel, before the sigmoid, times the root of their number."""


class Cppn:
    """A network from a place to its colour (Stanley 2007): smooth forms at any size. Its layers are convolutions of one
    pixel over the coordinates, each followed by both an arc tangent and its square, as in Mordvintsev et al.,
    Differentiable Image Parameterizations, 2018."""

    rate = 0.01
    _WIDTH, _LAYERS, _FREQUENCIES = 24, 7, 3

    def __init__(self, size: tuple[int, int], seed: int, device: torch.device) -> None:
        width, height = size
        longest = max(size)
        y, x = torch.meshgrid(
            torch.linspace(-height / longest, height / longest, height),
            torch.linspace(-width / longest, width / longest, width),
            indexing="ij",
        )
        waves = [f(2**k * math.pi * each) for k in range(self._FREQUENCIES) for each in (x, y) for f in (_sin, _cos)]
        self._places = torch.stack([x, y, (x**2 + y**2).sqrt(), *waves])[None].to(device)
        generator = _generator(seed)
        before = self._places.shape[1]
        self.values: list[Tensor] = []
        for _ in range(self._LAYERS):
            weight = torch.randn((self._WIDTH, before, 1, 1), generator=generator) / before**0.5
            self.values += [
                weight.to(device).requires_grad_(),
                torch.zeros(self._WIDTH, device=device).requires_grad_(),
            ]
            before = 2 * self._WIDTH
        self.values += [torch.zeros((3, before, 1, 1), device=device), torch.zeros(3, device=device)]
        for value in self.values:
            value.requires_grad_()

    def picture(self) -> Tensor:
        x = self._places
        for weight, bias in zip(self.values[:-2:2], self.values[1:-2:2], strict=True):
            bent = conv2d(x, weight, bias).atan()
            x = torch.cat([bent / 0.67, (bent * bent - 0.45) / 0.6], dim=1)  # both of deviation 1 for what is normal
        weight, bias = self.values[-2:]
        return conv2d(x, weight, bias).sigmoid()

    def steered(self, gradients: Sequence[Tensor], generator: torch.Generator) -> Sequence[Tensor]:
        return gradients


def _sin(values: Tensor) -> Tensor:
    return values.sin()


def _cos(values: Tensor) -> Tensor:
    return values.cos()


def fitted_values(picture: Image.Image, size: tuple[int, int]) -> Tensor:
    """[1, 3, height, width], 0..1, cropped to the size."""
    fitted = ImageOps.fit(picture.convert("RGB"), size, Image.Resampling.LANCZOS)
    return torch.from_numpy(np.asarray(fitted, np.float32) / 255).permute(2, 0, 1)[None]


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
