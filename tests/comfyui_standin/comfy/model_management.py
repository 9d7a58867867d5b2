"""Models are loaded where they are told to be and noted in `loaded`; `interrupt` stands for the button."""

from __future__ import annotations

from typing import Any

import torch

loaded: list[Any] = []
_interrupted = False


class InterruptProcessingException(Exception):
    pass


def get_torch_device() -> torch.device:
    return torch.device("cpu")


def unet_offload_device() -> torch.device:
    return torch.device("cpu")


def intermediate_device() -> torch.device:
    return torch.device("cpu")


def load_models_gpu(models: list[Any], memory_required: float = 0, force_full_load: bool = False) -> None:
    loaded.extend(model for model in models if model not in loaded)


def unload_all_models() -> None:
    loaded.clear()


def interrupt_current_processing(value: bool = True) -> None:
    global _interrupted
    _interrupted = value


def processing_interrupted() -> bool:
    return _interrupted


def throw_exception_if_processing_interrupted() -> None:
    if _interrupted:
        interrupt_current_processing(False)
        raise InterruptProcessingException
