"""BLIP's view of a picture by PyTorch's own attention: transformers' class writes every score out in its precision, to
memory that a GPU may lack, and takes longer for it."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_WRITES_SCORES = "BlipAttention"


def fuse_attention(model: nn.Module) -> None:
    """Changes BLIP's vision layers in place; what they compute is the same."""
    for module in model.modules():
        if type(module).__name__ == _WRITES_SCORES:
            module.forward = partial(_attended, module)


def _attended(layer: Any, hidden_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
    """In place of `BlipAttention.forward`: states [pictures, patches, width], and no scores."""
    pictures, patches, width = hidden_states.shape
    q, k, v = layer.qkv(hidden_states).view(pictures, patches, 3, layer.num_heads, -1).permute(2, 0, 3, 1, 4)
    if q.dtype is torch.bfloat16 and q.device.type == "cpu":  # whose fused attention takes twice the time of products
        seen = torch.matmul(q * layer.scale, k.transpose(-1, -2)).softmax(-1) @ v
    else:
        seen = F.scaled_dot_product_attention(q, k, v, scale=layer.scale)
    return layer.projection(seen.transpose(1, 2).reshape(pictures, patches, width)), None
