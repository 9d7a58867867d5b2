"""What each family of diffusion models conditions on.

Measured on the hosts themselves: which layer, whether normalised, how padded, and what the pooled vector is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from ..clip.hidden_states import LAST, SECOND_TO_LAST, SECOND_TO_LAST_NORMED, Layer, Padding
from ..errors import SettingsError

Projection = Literal["pinv", "ridge", "bank", "anchored"]
PROJECTIONS: tuple[Projection, ...] = get_args(Projection)


@dataclass(frozen=True)
class Encoder:
    """One of a family's text encoders.

    name: what errors and files call it. width: of its states. layer: whose states the family takes.
    padding: what follows a text's end.
    """

    name: str
    width: int
    layer: Layer
    padding: Padding


@dataclass(frozen=True)
class Family:
    """A family of diffusion models.

    encoders: whose states are joined along the width, in this order; empty where only a pooled vector is changed.
    clip: the CLIP in whose joint space pictures are seen. pooled_width: 0 for a family without a pooled vector.
    projection: what is used unless another is asked for: pinv where published evidence is for it.
    """

    name: str
    title: str
    encoders: tuple[Encoder, ...]
    clip: str
    pooled_width: int = 0
    projection: Projection = "ridge"

    @property
    def width(self) -> int:
        return sum(encoder.width for encoder in self.encoders)

    def encoder(self, name: str) -> Encoder:
        return next(encoder for encoder in self.encoders if encoder.name == name)


CLIP_L, CLIP_H, CLIP_G, MICRO = "clip_l", "clip_h", "clip_g", "micro"

_VIT_L, _VIT_H = "ViT-L-14/openai", "ViT-H-14/laion2b_s32b_b79k"
# SDXL's pooled vector lives in the joint space of its second text encoder, so that one's CLIP has to see the picture
_VIT_BIGG = "ViT-bigG-14/laion2b_s39b_b160k"

SD1 = Family("sd15", "Stable Diffusion 1", (Encoder(CLIP_L, 768, LAST, "end"),), _VIT_L, projection="pinv")
SD1_CLIP_SKIP = Family(
    "sd15-skip2",
    "Stable Diffusion 1 with clip skip 2",
    (Encoder(CLIP_L, 768, SECOND_TO_LAST_NORMED, "end"),),
    _VIT_L,
)
SD2 = Family("sd2", "Stable Diffusion 2", (Encoder(CLIP_H, 1024, SECOND_TO_LAST_NORMED, "zero"),), _VIT_H)
SDXL = Family(
    "sdxl",
    "SDXL",
    (Encoder(CLIP_L, 768, SECOND_TO_LAST, "end"), Encoder(CLIP_G, 1280, SECOND_TO_LAST, "zero")),
    _VIT_BIGG,
    pooled_width=1280,
)
SD3 = Family("sd3", "Stable Diffusion 3", (), _VIT_BIGG, pooled_width=768 + 1280)
FLUX = Family("flux", "FLUX", (), _VIT_L, pooled_width=768, projection="pinv")
MICRO_FAMILY = Family("micro", "the micro model", (Encoder(MICRO, 128, LAST, "end"),), "micro", projection="pinv")

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {family.name: family for family in (SD1, SD1_CLIP_SKIP, SD2, SDXL, SD3, FLUX, MICRO_FAMILY)}
)


def family_named(name: str) -> Family:
    """Raises SettingsError, which lists the known names."""
    family = FAMILIES.get(name)
    if family is None:
        raise SettingsError(f"There is no model family {name!r}; choose one of {', '.join(FAMILIES)}.")
    return family
