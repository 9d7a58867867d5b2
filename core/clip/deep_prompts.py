"""Learned tokens at each layer of a vision transformer, beside the picture's patches, of which none is lost.

Deep prompts are Jia et al., "Visual Prompt Tuning", ECCV 2022; one linear map and one norm that all layers share after
them are those of SD-IPC-FT (arXiv 2305.12716). There they take the place of the first patches; here they are appended.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

TOKENS = 50
DROPOUT = 0.1
_STATES = "hidden_states"
_PATCH_VALUES = 3 * 16 * 16
"""Of a patch, in the published bound of first values."""


@dataclass(frozen=True)
class Blocks:
    """The layers of a vision transformer in their order, each of which is given states [n, tokens, width], or [tokens,
    n, width] where the batch is not first."""

    modules: Sequence[nn.Module]
    width: int
    batch_first: bool = True

    @contextmanager
    def with_tokens(self, tokens: Tensor) -> Iterator[None]:
        """Inside it tokens [layers, count, width] stand behind those of every picture, at each layer its own, and are
        gone after it. Gradients flow to them."""
        handles = []
        for module, own in zip(self.modules, tokens, strict=True):
            append = partial(_append, own, self.batch_first)
            drop = partial(_drop, tokens.shape[1], self.batch_first)
            handles.append(module.register_forward_pre_hook(append, with_kwargs=True))
            handles.append(module.register_forward_hook(drop))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


class DeepPrompts(nn.Module):
    """layers, width: of the vision transformer. count: of tokens at each layer."""

    def __init__(self, layers: int, width: int, count: int = TOKENS) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # first values are PyTorch's own dice, until `start`
            self.tokens = nn.Parameter(torch.zeros(layers, count, width))
            self.map = nn.Linear(width, width)
            self.norm = nn.LayerNorm(width)

    def start(self, generator: torch.Generator) -> None:
        """First values as published: uniform tokens within the bound of Glorot and Bengio (2010) for a patch of 16 x
        16, and a map by He et al. (2015), fan out."""
        width = self.map.in_features
        bound = math.sqrt(6 / (_PATCH_VALUES + width))
        with torch.no_grad():
            self.tokens.uniform_(-bound, bound, generator=generator)
            self.map.weight.normal_(0, math.sqrt(2 / width), generator=generator)
            self.map.bias.zero_()
            self.norm.weight.fill_(1)
            self.norm.bias.zero_()

    def forward(self, dropped: torch.Generator | None = None) -> Tensor:
        """What each layer is given [layers, count, width]. dropped: draws which values are left out, in training."""
        made = self.norm(self.map(self.tokens))
        if dropped is None:
            return made
        kept = torch.rand(made.shape, generator=dropped) >= DROPOUT
        return made * kept.to(made) / (1 - DROPOUT)

    @classmethod
    def of(cls, values: dict[str, Tensor]) -> DeepPrompts:
        """Of a state that `state_dict` gave."""
        layers, count, width = values["tokens"].shape
        made = cls(layers, width, count)
        made.load_state_dict({name: tensor.float() for name, tensor in values.items()})
        return made.eval().requires_grad_(False)


def transformers_blocks(tower: Any) -> Blocks | None:
    """Of a vision_model of transformers' shape, which is also micro's and ComfyUI's; None for others."""
    layers = getattr(getattr(tower, "encoder", None), "layers", None)
    if not layers or not hasattr(layers[0], "layer_norm1"):
        return None
    return Blocks(list(layers), layers[0].layer_norm1.weight.shape[0])


def open_clip_blocks(visual: Any) -> Blocks | None:
    """Of open_clip's picture encoder; None where it is no plain vision transformer."""
    blocks = getattr(getattr(visual, "transformer", None), "resblocks", None)
    if not blocks or not isinstance(getattr(blocks[0], "attn", None), nn.MultiheadAttention):
        return None
    return Blocks(list(blocks), blocks[0].ln_1.weight.shape[0], blocks[0].attn.batch_first)


def _append(tokens: Tensor, batch_first: bool, _: nn.Module, args: tuple, named: dict[str, Any]) -> tuple[tuple, dict]:
    states = args[0] if args else named[_STATES]
    pictures = states.shape[0 if batch_first else 1]
    own = tokens.to(states).unsqueeze(0 if batch_first else 1)
    own = own.expand(pictures, -1, -1) if batch_first else own.expand(-1, pictures, -1)
    joined = torch.cat([states, own], dim=1 if batch_first else 0)
    return ((joined, *args[1:]), named) if args else (args, {**named, _STATES: joined})


def _drop(count: int, batch_first: bool, _: nn.Module, args: tuple, made: Any) -> Any:
    states = made[0] if isinstance(made, tuple) else made
    kept = states[:, :-count] if batch_first else states[:-count]
    return (kept, *made[1:]) if isinstance(made, tuple) else kept
