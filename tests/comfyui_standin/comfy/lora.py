from __future__ import annotations

from typing import Any

import torch


def calculate_weight(patches: list[Any], weight: torch.Tensor, key: str) -> torch.Tensor:
    """patches: factors."""
    for factor in patches:
        weight = weight * factor
    return weight
