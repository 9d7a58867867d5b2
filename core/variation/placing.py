"""A pipeline on its device: whole where there is room, else each of its parts while it is at work."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterator
from typing import Any

import torch

from ..cures import Cure, Install, Take
from ..devices import memory_of, roomy
from ..shortage import size, within_memory

_log = logging.getLogger(__name__)

_WORKING = 2 * 10**9
_CLIP = 6
"""How many times the size of its text encoder in half precision the CLIP takes that sees pictures for a checkpoint: the
text tower in float32 and in half precision, and a picture encoder at most as large as both."""


def place(name: str, pipeline: Any, device: torch.device) -> bool:
    """Whether it is there whole. Raises ModelError where it does not fit either way."""
    memory, needed = memory_of(device), nbytes(pipeline)
    cures: tuple[Cure, ...] = (Take("use the CPU"),)
    if memory is not None and memory[0] < needed + _WORKING + _CLIP * _text_bytes(pipeline):
        if importlib.util.find_spec("accelerate") is not None:
            pipeline.enable_model_cpu_offload(device=device)
            _log.warning("%s is not brought to %s as a whole, but each part while it is used.", name, roomy(device))
            return False
        cures = (Install(("accelerate",)), *cures)
    with within_memory(f"{name} takes {size(needed)} and does not fit on {roomy(device)}", *cures):
        pipeline.to(device)
    return True


def encoders_device(pipeline: Any, device: torch.device) -> torch.device:
    """Where copies of the text encoders go whose own parts wait: to the device, if the CLIP has room beside them."""
    memory, text = memory_of(device), _text_bytes(pipeline)
    fits = memory is None or memory[0] >= _WORKING + (_CLIP + 2) * text
    return device if fits else torch.device("cpu")


def widen(name: str, pipeline: Any) -> None:
    """In float32 from now on, as half precision gave no numbers."""
    _log.warning("%s gives no numbers in half precision on this device: it goes on in float32.", name)
    pipeline.to(dtype=torch.float32)


def nbytes(pipeline: Any) -> int:
    return sum(_module_bytes(each) for each in _modules(pipeline))


def _text_bytes(pipeline: Any) -> int:
    """Of the largest text encoder, which is the one that belongs to the CLIP."""
    parts = (getattr(pipeline, name, None) for name in ("text_encoder", "text_encoder_2"))
    return max((_module_bytes(each) for each in parts if each is not None), default=0)


def _module_bytes(module: torch.nn.Module) -> int:
    return sum(parameter.nbytes for parameter in module.parameters())


def _modules(pipeline: Any) -> Iterator[torch.nn.Module]:
    return (part for part in pipeline.components.values() if isinstance(part, torch.nn.Module))
