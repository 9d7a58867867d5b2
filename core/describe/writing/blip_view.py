"""What BLIP's decoder looks at: pictures, seen by the vision tower."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_AT_ONCE = 2
"""Pictures on a CPU, whose numbers between the layers then stay nearer to it: a fifth less time than 8 take."""


def view(tower: Any, pixels: Tensor) -> Tensor:
    """[pictures, patches, width], in the weights' precision."""
    if pixels.device.type != "cpu":
        return tower(pixel_values=pixels)[0]
    sees = _in_half if pixels.dtype is torch.bfloat16 else lambda tower, some: tower(pixel_values=some)[0]
    return torch.cat([sees(tower, some) for some in pixels.split(_AT_ONCE)])


def _in_half(tower: Any, pixels: Tensor) -> Tensor:
    """Products in half precision, and the sums that run through all layers in float32: in half precision too they would
    be half as far again from float32's."""
    x = tower.embeddings(pixels).float()
    for layer in tower.encoder.layers:
        x = x + layer.self_attn(_normed(layer.layer_norm1, x).to(pixels.dtype))[0]
        x = x + layer.mlp(_normed(layer.layer_norm2, x).to(pixels.dtype))
    return _normed(tower.post_layernorm, x).to(pixels.dtype)


def _normed(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    return F.layer_norm(x, norm.normalized_shape, norm.weight.float(), norm.bias.float(), norm.eps)
