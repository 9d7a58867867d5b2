"""A webui's text encoders as they were before its LoRAs changed them, from what the webui keeps to undo that. Imports
no webui."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")


class Unpatched:
    """The parameters of a checkpoint's text encoders that LoRAs have changed, each as it was."""

    def __init__(self, checkpoint: Any) -> None:
        self._kept = dict(_kept_beside(checkpoint))

    def read(self, module: Any, read: Callable[[Any], T]) -> T | None:
        """What `read` makes of a text encoder as it was; None where nothing of it was changed. The module has its own
        parameters again when this returns."""
        kept = self._kept | dict(_kept_within(module))
        before = {name: kept[id(own)] for name, own in module.named_parameters() if id(own) in kept}
        if not before:
            return None
        reading = _Reading(module, read)
        return torch.func.functional_call(reading, {f"module.{name}": own for name, own in before.items()}, ())


class _Reading(torch.nn.Module):
    """Calls a function of a module: what has other parameters only while it is called needs a call."""

    def __init__(self, module: Any, read: Callable[[Any], Any]) -> None:
        super().__init__()
        self.module, self._read = module, read

    def forward(self) -> Any:
        return self._read(self.module)


def _kept_within(module: Any) -> Iterator[tuple[int, Tensor]]:
    """By the ids of parameters. AUTOMATIC1111 keeps it at each layer, also when the LoRAs are gone."""
    for layer in module.modules():
        if not getattr(layer, "network_current_names", ()):
            continue
        weight, bias = (getattr(layer, f"network_{name}_backup", None) for name in ("weights", "bias"))
        if isinstance(layer, torch.nn.MultiheadAttention):
            joined, out = weight if weight is not None else (None, None)
            pairs = [(layer.in_proj_weight, joined), (layer.out_proj.weight, out), (layer.out_proj.bias, bias)]
        else:
            pairs = [(getattr(layer, "weight", None), weight), (getattr(layer, "bias", None), bias)]
        yield from ((id(own), kept) for own, kept in pairs if own is not None and kept is not None)


def _kept_beside(checkpoint: Any) -> Iterator[tuple[int, Tensor]]:
    """By the ids of parameters. Forge and its kin keep it by name, Forge with the model, reForge as ComfyUI does."""
    clip = getattr(getattr(checkpoint, "forge_objects", None), "clip", None)
    if clip is None:
        return
    model = clip.cond_stage_model
    keeper = getattr(model, "lora_loader", clip.patcher)
    kept: Mapping[str, Any] = getattr(keeper, "backup", {})
    for name, own in model.named_parameters():
        if name in kept:
            yield id(own), getattr(kept[name], "weight", kept[name])
