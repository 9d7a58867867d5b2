"""Which way a model is asked."""

from __future__ import annotations

from typing import Any

import torch

from .blip import Blip
from .chat import Chat
from .florence import Florence
from .git import Git
from .models import CaptionModel
from .paligemma import PaliGemma
from .templates import template_of

_NO_CHAT = frozenset({"blip-2", "instructblip"})
"""Whose language model's tokenizer may have a template for talks without pictures."""


def model_for(name: str, model: Any, processor: Any, dtype: torch.dtype, system: str = "") -> CaptionModel:
    """The way to ask this model, by its type. system: the message that its publisher says before questions."""
    kinds = {"blip": Blip, "git": Git, "florence2": Florence, "paligemma": PaliGemma}
    model_type = model.config.model_type
    if kind := kinds.get(model_type):
        return kind(name, model, processor, dtype)
    if model_type not in _NO_CHAT and hasattr(processor, "apply_chat_template") and template_of(processor):
        return Chat(name, model, processor, dtype, system)
    return CaptionModel(name, model, processor, dtype)
