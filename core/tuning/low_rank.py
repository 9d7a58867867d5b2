"""The key and value projections of a UNet's cross-attention, changed by low-rank maps that a LoRA file holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..variation.lora import Lora, Pair

_ENDINGS = ("attn2.to_k", "attn2.to_v")
"""Of the layers' names: the second attention of a block is the one that looks at the condition."""


class LowRankMaps(nn.Module):
    """rank: of each map, at most the narrower side of its layer. Its change is up down, alpha being the rank. Raises
    ModelError for a UNet that has no cross-attention."""

    def __init__(self, unet: nn.Module, rank: int) -> None:
        super().__init__()
        self.names = [name for name, _ in _layers(unet)]
        if not self.names:
            raise ModelError(
                "The checkpoint's UNet has no cross-attention to be tuned", "give Stable Diffusion 1, 2 or XL"
            )
        widths = [tuple(layer.weight.shape) for _, layer in _layers(unet)]
        ranks = [min(rank, *shape) for shape in widths]
        pairs = zip(ranks, widths, strict=True)
        self.down = nn.ParameterList([torch.zeros(each, into) for each, (_, into) in pairs])
        pairs = zip(ranks, widths, strict=True)
        self.up = nn.ParameterList([torch.zeros(out, each) for each, (out, _) in pairs])

    def start(self, generator: torch.Generator) -> None:
        """First values as published (Hu et al. 2021): a normal distribution before, zeros after, so nothing changes."""
        with torch.no_grad():
            for down, up in zip(self.down, self.up, strict=True):
                down.normal_(0, down.shape[1] ** -0.5, generator=generator)
                up.zero_()

    @contextmanager
    def added(self, unet: nn.Module) -> Iterator[None]:
        """Inside it they take part, with a gradient to them."""
        handles = []
        for (_, layer), down, up in zip(_layers(unet), self.down, self.up, strict=True):
            handles.append(layer.register_forward_hook(partial(_add, down, up)))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def lora(self, metadata: Mapping[str, str], names: Mapping[str, str] | None = None) -> Lora:
        """names: what layers are called in diffusers' UNet, where they are called otherwise here."""
        known = names or {}
        pairs = {
            known.get(name, name).replace(".", "_"): Pair(down.detach().clone(), up.detach().clone(), len(down))
            for name, down, up in zip(self.names, self.down, self.up, strict=True)
        }
        return Lora(pairs, metadata)


def _layers(unet: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    for name, module in unet.named_modules():
        if name.endswith(_ENDINGS) and isinstance(module, nn.Linear):
            yield name, module


def _add(down: Tensor, up: Tensor, _: nn.Module, args: tuple, made: Tensor) -> Tensor:
    states = args[0]
    return made + (states.to(down) @ down.T @ up.T).to(made)
