"""The layers that micro's models are made of, named as in transformers' files, which is how the weights lie on disk.

transformers takes seconds to import, most of them for what micro has no use for; that these modules give what
transformers' classes give is what tests/test_micro_modules.py shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

Module = TypeVar("Module", bound=nn.Module)


class Mlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.fc1(x)
        return self.fc2(hidden * torch.sigmoid(1.702 * hidden))


class Layer(nn.Module):
    """One block of a vision transformer, the norm before each half."""

    def __init__(self, attention: nn.Module, width: int, hidden: int, epsilon: float) -> None:
        super().__init__()
        self.self_attn = attention
        self.layer_norm1 = nn.LayerNorm(width, epsilon)
        self.mlp = Mlp(width, hidden)
        self.layer_norm2 = nn.LayerNorm(width, epsilon)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class Encoder(nn.Module):
    def __init__(self, config: Mapping[str, Any], attention: type[nn.Module]) -> None:
        super().__init__()
        width, heads = config["hidden_size"], config["num_attention_heads"]
        self.layers = nn.ModuleList(
            Layer(attention(width, heads), width, config["intermediate_size"], config["layer_norm_eps"])
            for _ in range(config["num_hidden_layers"])
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def attended(q: Tensor, k: Tensor, v: Tensor, heads: int, causal: bool = False) -> Tensor:
    """q [n, queries, width], k and v [n, keys, width] -> [n, queries, width]."""
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).flatten(2)


def filled(make: type[Module], config: Mapping[str, Any], folder: Path, dtype: torch.dtype) -> Module:
    """A model of this configuration with the folder's weights, on the CPU."""
    with torch.random.fork_rng(devices=[]):  # PyTorch draws first values, which are replaced; not from a host's dice
        model = make(config)
    state = load_file(folder / "model.safetensors")
    model.load_state_dict({name: tensor.to(dtype) for name, tensor in state.items()}, assign=True)
    return model.eval().requires_grad_(False)
