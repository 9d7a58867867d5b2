"""LoRA files of a UNet, in the names that the hosts load: written, read, and added to the weights of a pipeline.

The names are kohya-ss' (https://github.com/kohya-ss/sd-scripts): `lora_unet_` and the path of the layer in diffusers'
UNet with `_` for its dots, then `.lora_down.weight` [rank, in], `.lora_up.weight` [out, rank] and `.alpha`; a layer's
weight becomes W + alpha / rank * up down (Hu et al. 2021, "LoRA", section 4.1). ComfyUI, the webuis and diffusers all
read them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError, SettingsError
from ..files import replace_whole
from ..foreign import Unreadable, few, read_header, read_tensors, shown, steady

PREFIX = "lora_unet_"
_DOWN, _UP, _ALPHA = ".lora_down.weight", ".lora_up.weight", ".alpha"


@dataclass(frozen=True)
class Pair:
    """down [rank, in] or [rank, in, height, width], up [out, rank] or with two ones behind, alpha."""

    down: Tensor
    up: Tensor
    alpha: float

    @property
    def change(self) -> Tensor:
        """What is added to the layer's weight, [out, in] or as a convolution has it; float32."""
        down, up = self.down.float(), self.up.float()
        product = up.flatten(1) @ down.flatten(1)
        return (self.alpha / len(down)) * product.unflatten(1, down.shape[1:])


@dataclass(frozen=True)
class Lora:
    """layers: by their names in diffusers' UNet, with `_` for dots. metadata: what its file says beside."""

    layers: Mapping[str, Pair]
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """As a file has them."""
        tensors: dict[str, Tensor] = {}
        for name, pair in self.layers.items():
            tensors[f"{PREFIX}{name}{_DOWN}"] = pair.down.detach().float().cpu().contiguous()
            tensors[f"{PREFIX}{name}{_UP}"] = pair.up.detach().float().cpu().contiguous()
            tensors[f"{PREFIX}{name}{_ALPHA}"] = torch.tensor(float(pair.alpha))
        return tensors

    def save(self, path: Path) -> None:
        """One safetensors file, whole or not at all. Raises OSError."""
        from safetensors.torch import save

        replace_whole(path, steady(save(self.tensors, metadata=dict(self.metadata))))

    @classmethod
    def load(cls, path: Path) -> Lora:
        """Raises ModelError for what is no such file, or changes more than a UNet."""
        try:
            header = read_header(path)
            names = sorted({_layer_of(name) for name in header.tensors})
            tensors = read_tensors(path, list(header.tensors))
        except Unreadable as error:
            raise ModelError(f"{shown(str(path))} cannot be read as a LoRA ({error})", "give another file") from error
        return cls({name: _pair(path, name, tensors) for name in names}, header.metadata)

    @contextmanager
    def applied(self, unet: nn.Module, name: str, strength: float = 1.0) -> Iterator[None]:
        """Inside it the UNet's weights are changed, and to the bit as they were afterwards. name: what errors call it.
        Raises ModelError where it does not fit the UNet."""
        layers: dict[Any, Pair] = dict(self._fitting(unet, name))
        before = {layer: layer.weight for layer in layers}
        try:
            for layer, pair in layers.items():
                own: Tensor = layer.weight
                change = strength * pair.change.to(own.device)
                layer.weight = nn.Parameter((own.float() + change).to(own.dtype), requires_grad=False)
            yield
        finally:
            for layer, weight in before.items():
                layer.weight = weight

    def _fitting(self, unet: nn.Module, name: str) -> Iterator[tuple[nn.Module, Pair]]:
        known = {path.replace(".", "_"): module for path, module in unet.named_modules()}
        unknown = [layer for layer in self.layers if getattr(known.get(layer), "weight", None) is None]
        if unknown:
            raise ModelError(
                f"{shown(name)} is a LoRA for another model: the checkpoint has no {few(unknown)}", "give one for this"
            )
        for layer, pair in self.layers.items():
            own: Any = known[layer].weight
            shape = tuple(own.shape)
            wanted = (pair.up.shape[0], *pair.down.shape[1:])
            if shape != wanted or pair.up.shape[1] != pair.down.shape[0]:
                told = " x ".join(map(str, wanted))
                raise ModelError(
                    f"{shown(name)} is a LoRA for another model: its {shown(layer)} is {told}", "give one for this"
                )
            yield known[layer], pair


@dataclass(frozen=True)
class Added:
    """A LoRA that is to take part in a rendering. name: what errors call it. strength: of its own. Raises
    SettingsError."""

    lora: Lora
    name: str = "The LoRA"
    strength: float = 1.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.strength):
            raise SettingsError(f"The LoRA's strength is {self.strength:g}", "give a number such as 1")

    @classmethod
    def load(cls, path: Path, strength: float = 1.0) -> Added:
        """Raises ModelError, SettingsError."""
        return cls(Lora.load(path), path.name, strength)


def _layer_of(name: str) -> str:
    """Raises Unreadable."""
    for ending in (_DOWN, _UP, _ALPHA):
        if name.startswith(PREFIX) and name.endswith(ending):
            return name.removeprefix(PREFIX).removesuffix(ending)
    raise Unreadable(f"it holds {shown(name)}, which is no UNet layer's in the usual names")


def _pair(path: Path, name: str, tensors: Mapping[str, Tensor]) -> Pair:
    down, up, alpha = (tensors.get(f"{PREFIX}{name}{ending}") for ending in (_DOWN, _UP, _ALPHA))
    if down is None or up is None or min(down.ndim, up.ndim) < 2 or not len(down):
        raise ModelError(f"{shown(str(path))} cannot be read as a LoRA (it lacks a half of {shown(name)})")
    scale = float(len(down)) if alpha is None else float(alpha)
    if not all(bool(torch.isfinite(each).all()) for each in (down, up)) or not math.isfinite(scale):
        raise ModelError(f"{shown(str(path))} cannot be read as a LoRA (its {shown(name)} holds what is no number)")
    return Pair(down.clone(), up.clone(), scale)
