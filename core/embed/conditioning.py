"""What each family of diffusion models takes, assembled from its encoders' states: one small function a family.

SDXL's size and crop numbers, and the T5 states of Stable Diffusion 3 and FLUX, are left to the host.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..errors import EmbeddingError
from .embedding import PromptEmbedding
from .families import CLIP_G, CLIP_H, CLIP_L, FLUX, MICRO, MICRO_FAMILY, SD1, SD1_CLIP_SKIP, SD2, SD3, SDXL, Family

POOLED_ONLY = (
    "{title} takes a picture in its pooled vector alone, which sets the tone; the prompt's T5 states still decide "
    "what is shown, so the effect is weak."
)


def sd1(clip_l: Tensor) -> PromptEmbedding:
    """CLIP-L's last states [77 n, 768], normalised."""
    return assembled(SD1, {CLIP_L: clip_l})


def sd1_clip_skip(clip_l: Tensor) -> PromptEmbedding:
    """CLIP-L's second-to-last states [77 n, 768], normalised by the final normalisation."""
    return assembled(SD1_CLIP_SKIP, {CLIP_L: clip_l})


def sd2(clip_h: Tensor) -> PromptEmbedding:
    """OpenCLIP-H's second-to-last states [77 n, 1024], normalised by the final normalisation."""
    return assembled(SD2, {CLIP_H: clip_h})


def sdxl(clip_l: Tensor, clip_g: Tensor, pooled: Tensor) -> PromptEmbedding:
    """CLIP-L's and OpenCLIP-bigG's second-to-last states [77 n, 768] and [77 n, 1280], not normalised, and bigG's
    projected end state [1280] (see `projected_pooled`)."""
    return assembled(SDXL, {CLIP_L: clip_l, CLIP_G: clip_g}, pooled)


def sd3(clip_l_end: Tensor, clip_g_pooled: Tensor) -> PromptEmbedding:
    """The pooled vector alone (see `POOLED_ONLY`): CLIP-L's end state [768], not projected, and bigG's [1280],
    projected."""
    return assembled(SD3, {}, torch.cat([clip_l_end, clip_g_pooled.to(clip_l_end)]))


def flux(clip_l_end: Tensor) -> PromptEmbedding:
    """The pooled vector alone (see `POOLED_ONLY`): CLIP-L's end state [768], not projected."""
    return assembled(FLUX, {}, clip_l_end)


def micro(states: Tensor) -> PromptEmbedding:
    """The micro CLIP's last states [77 n, 128], normalised."""
    return assembled(MICRO_FAMILY, {MICRO: states})


def projected_pooled(joint: Tensor, norm: float) -> Tensor:
    """A projected pooled vector lives in the joint space: the picture's embedding [width] itself, at the mean length
    that the projected end state of a text has. Raises EmbeddingError for an embedding of zeros or NaN."""
    length = float(joint.norm())
    if not (0 < length < float("inf")):
        raise EmbeddingError("The picture's embedding is zero or no number; check the CLIP model's weights.")
    return joint * (norm / length)


def assembled(family: Family, states: Mapping[str, Tensor], pooled: Tensor | None = None) -> PromptEmbedding:
    """What the functions above give, for states by encoder name."""
    parts = []
    for encoder in family.encoders:
        part = states[encoder.name]
        if part.ndim != 2 or part.shape[1] != encoder.width:
            shape = " x ".join(map(str, part.shape))
            raise EmbeddingError(
                f"{family.title} takes {encoder.width} numbers a position from {encoder.name}, but its states are "
                f"{shape}; take the text encoder that belongs to the model."
            )
        parts.append(part)
    if len({len(part) for part in parts}) > 1:
        raise EmbeddingError(f"The encoders' states for {family.title} differ in length; make them of the same text.")
    joined = torch.cat([part.to(parts[0]) for part in parts], dim=1) if parts else None
    return PromptEmbedding(family.name, joined, pooled).checked(family)
