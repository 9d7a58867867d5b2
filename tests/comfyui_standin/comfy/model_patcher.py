from __future__ import annotations

from typing import Any

import torch


class ModelPatcher:
    """patches: by the parameter's path. backup: what parameters that are patched in place were before."""

    def __init__(self, model: torch.nn.Module, load_device: torch.device, offload_device: torch.device) -> None:
        model.device = offload_device  # as the real one does
        self.model = model
        self.load_device = load_device
        self.offload_device = offload_device
        self.patches: dict[str, list[Any]] = {}
        self.backup: dict[str, Any] = {}
