"""How BLIP is asked."""

from __future__ import annotations

from typing import Any

import torch

from ..settings import CaptionSettings
from .continuing import Continuing
from .fused_attention import fuse_attention


class Blip(Continuing):
    def __init__(self, name: str, model: Any, processor: Any, dtype: torch.dtype) -> None:
        super().__init__(name, model, processor, dtype)
        fuse_attention(model)

    def _write(self, images: list[Any], settings: CaptionSettings) -> list[str]:
        inputs = self._to_device(self._together(images))
        tokens = self._processor.tokenizer(settings.instruction, return_tensors="pt").input_ids
        if not settings.instruction:
            tokens = tokens[:, :1]
            length = self._length_after(tokens, settings)
        else:
            # generate() drops the end token and puts its own start token first
            inputs["input_ids"] = tokens.repeat(len(images), 1).to(self._device)
            length = self._length_after(tokens[:, 1:], settings)
        written = self._generate(inputs, settings, length)
        return self._decode(written[:, 1:])
