"""What a family of diffusion models takes, assembled from its encoders' states and a pooled vector.

SDXL's size and crop numbers, and the T5 states of Stable Diffusion 3 and FLUX, are left to the host.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import EmbeddingError
from .embedding import PromptEmbedding
from .families import Family


def projected_pooled(joint: Tensor, norm: float) -> Tensor:
    """A projected pooled vector lives in the joint space: the picture's embedding [width] itself, at the mean length
    that the projected end state of a text has. Raises EmbeddingError for an embedding of zeros or NaN."""
    return joint * (norm / checked_length(joint))


def checked_length(joint: Tensor) -> float:
    """Of a picture's embedding [width]. Raises EmbeddingError for one of zeros or NaN."""
    length = float(joint.norm())
    if not (0 < length < float("inf")):
        raise EmbeddingError("The picture's embedding is zero or no number", "check the CLIP model's weights")
    return length


def assembled(family: Family, states: Mapping[str, Tensor], pooled: Tensor | None = None) -> PromptEmbedding:
    """Of states [77 n, width] by encoder name, each of the layer the family takes, and of a pooled vector where it has
    one. Raises EmbeddingError where they do not fit."""
    parts = []
    for encoder in family.encoders:
        part = states[encoder.name]
        if part.ndim != 2 or part.shape[1] != encoder.width:
            shape = " x ".join(map(str, part.shape))
            raise EmbeddingError(
                f"{family.title} takes {encoder.width} numbers a position from {encoder.name}, but its states are "
                f"{shape}",
                "take the text encoder that belongs to the model",
            )
        parts.append(part)
    if len({len(part) for part in parts}) > 1:
        raise EmbeddingError(f"The encoders' states for {family.title} differ in length", "make them of the same text")
    joined = torch.cat([part.to(parts[0]) for part in parts], dim=1) if parts else None
    return PromptEmbedding(family.name, joined, pooled).checked(family)
