from __future__ import annotations

import torch


class ModelPatcher:
    def __init__(self, model: torch.nn.Module, load_device: torch.device, offload_device: torch.device) -> None:
        model.device = offload_device  # as the real one does
        self.model = model
        self.load_device = load_device
        self.offload_device = offload_device

    def lowvram_patch_counter(self) -> int:
        return 0
