"""Which way a model is asked."""

from __future__ import annotations

from typing import Any

import torch

from .blip import Blip
from .git import Git
from .models import CaptionModel, Chat, Florence


def model_for(name: str, model: Any, processor: Any, dtype: torch.dtype) -> CaptionModel:
    """The way to ask this model, by its type."""
    kinds = {"blip": Blip, "git": Git, "florence2": Florence}
    kind = kinds.get(model.config.model_type)
    if kind is None:
        has_template = bool(getattr(processor, "chat_template", None))
        kind = Chat if has_template and hasattr(processor, "apply_chat_template") else CaptionModel
    return kind(name, model, processor, dtype)
