"""Load LoRA's way, as far as the nodes call it: they do in the real ComfyUI alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def load_lora_for_models(
    model: Any, clip: Any, lora: Mapping[str, Any], strength_model: float, strength_clip: float
) -> tuple[Any, Any]:
    raise NotImplementedError
