"""What each family of diffusion models conditions on, and how its models are told apart. Importing this loads nothing.

Measured on the hosts themselves: which layer, whether normalised, how padded, and what the pooled vector is. A new
family is a value here; code asks it, never its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from ..clip.layers import LAST, SECOND_TO_LAST, SECOND_TO_LAST_NORMED, Layer, Padding
from ..cures import Choose
from ..errors import SettingsError
from ..printable import quoted
from ..published import SD1_PIPELINE, SD2_PIPELINE, SDXL_PIPELINE, VIT_BIGG, VIT_H, VIT_L
from .kinds import Projection


@dataclass(frozen=True)
class Encoder:
    """One of a family's text encoders.

    name: what errors and files call it. width: of its states. layer: whose states the family takes.
    padding: what follows a text's end. clip: the CLIP whose text tower it is.
    keeps_projection: whether checkpoints hold its text projection; where they do not, a host may have anything there.
    blocks: of the whole tower where diffusers leaves out the last one, which nothing uses; 0 where none is left out.
    """

    name: str
    width: int
    layer: Layer
    padding: Padding
    clip: str = ""
    keeps_projection: bool = True
    blocks: int = 0


@dataclass(frozen=True)
class Family:
    """A family of diffusion models.

    encoders: whose states are joined along the width, in this order; empty where only a pooled vector is changed.
    pooled_of: the encoders of whose texts' ends the pooled vector is made, joined in this order.
    clip: the CLIP in whose joint space pictures are seen. pooled_width: of the pooled vector.
    closed_form: whether pinv reaches what the family takes: the last layer's states of one encoder, and near it the
    layer before.
    model: what its checkpoints are; families of one model differ in the layer they take, the usual one first.
    pooled_by: the one of these whose end is projected; "" where all are taken as they are.
    takes_pooled: whether its models listen to that vector. Where not, ComfyUI has it beside the states all the same,
    and an embedding may come without.
    pipeline: diffusers' class that renders it, "" where none does here.
    settings: hub id of a pipeline with the settings that a single file lacks; diffusers takes the same ones.
    prefix: with which the names of a text encoder's tensors begin in a single file, in no other model's.
    """

    name: str
    title: str
    encoders: tuple[Encoder, ...]
    clip: str
    pooled_width: int
    takes_pooled: bool = True
    closed_form: bool = False
    model: str = ""
    pooled_by: str = ""
    pooled_of: tuple[Encoder, ...] = ()
    pipeline: str = ""
    settings: str = ""
    prefix: str = ""

    @property
    def width(self) -> int:
        return sum(encoder.width for encoder in self.encoders)

    @property
    def heard(self) -> tuple[Encoder, ...]:
        """All encoders of whose texts it takes anything."""
        return self.encoders or self.pooled_of

    def encoder(self, name: str) -> Encoder:
        return next(encoder for encoder in self.heard if encoder.name == name)

    @property
    def seeing(self) -> Encoder:
        """The encoder in whose joint space pictures are seen."""
        return next(encoder for encoder in self.heard if encoder.clip == self.clip)

    @property
    def layers_skipped(self) -> int:
        """At the end of its encoders, which all stop at the same layer."""
        return self.encoders[0].layer.skipped

    def is_served_by(self, projection: Projection) -> bool:
        """All but pinv and soft, which find an end, learn states."""
        return self.closed_form if projection == "pinv" else bool(self.encoders) or projection == "soft"


CLIP_L, CLIP_H, CLIP_G, MICRO = "clip_l", "clip_h", "clip_g", "micro"

# SDXL's pooled vector lives in the joint space of its second text encoder, so that one's CLIP has to see the picture


def _clip_l(layer: Layer) -> Encoder:
    return Encoder(CLIP_L, 768, layer, "end", VIT_L, keeps_projection=False)


def _clip_g(layer: Layer) -> Encoder:
    return Encoder(CLIP_G, 1280, layer, "zero", VIT_BIGG)


SD1 = Family(
    "sd15",
    "Stable Diffusion 1",
    (_clip_l(LAST),),
    VIT_L,
    pooled_width=768,
    takes_pooled=False,
    closed_form=True,
    model="sd1",
    pooled_of=(_clip_l(LAST),),
    pipeline="StableDiffusionPipeline",
    settings=SD1_PIPELINE.repo,
    prefix="cond_stage_model.transformer.",
)
SD1_CLIP_SKIP = replace(
    SD1,
    name="sd15-skip2",
    title="Stable Diffusion 1 with clip skip 2",
    encoders=(_clip_l(SECOND_TO_LAST_NORMED),),
)
_CLIP_H = Encoder(CLIP_H, 1024, SECOND_TO_LAST_NORMED, "zero", VIT_H, blocks=24)
SD2 = Family(
    "sd2",
    "Stable Diffusion 2",
    (_CLIP_H,),
    VIT_H,
    pooled_width=1024,
    takes_pooled=False,
    model="sd2",
    pooled_of=(_CLIP_H,),
    pooled_by=CLIP_H,
    pipeline="StableDiffusionPipeline",
    settings=SD2_PIPELINE.repo,
    prefix="cond_stage_model.model.",
)
SDXL = Family(
    "sdxl",
    "SDXL",
    (_clip_l(SECOND_TO_LAST), _clip_g(SECOND_TO_LAST)),
    VIT_BIGG,
    pooled_width=1280,
    model="sdxl",
    pooled_of=(_clip_g(SECOND_TO_LAST),),
    pooled_by=CLIP_G,
    pipeline="StableDiffusionXLPipeline",
    settings=SDXL_PIPELINE.repo,
    prefix="conditioner.embedders.1.model.",
)
SD3 = Family(
    "sd3",
    "Stable Diffusion 3",
    (),
    VIT_BIGG,
    pooled_width=768 + 1280,
    model="sd3",
    pooled_by=CLIP_G,
    pooled_of=(_clip_l(LAST), _clip_g(LAST)),
)
FLUX = Family("flux", "FLUX", (), VIT_L, pooled_width=768, closed_form=True, model="flux", pooled_of=(_clip_l(LAST),))
_MICRO = Encoder(MICRO, 128, LAST, "end", MICRO)
MICRO_FAMILY = Family(
    "micro",
    "the micro model",
    (_MICRO,),
    MICRO,
    pooled_width=128,
    takes_pooled=False,
    closed_form=True,
    model="micro",
    pooled_of=(_MICRO,),
    pipeline="StableDiffusionPipeline",
)

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {family.name: family for family in (SD1, SD1_CLIP_SKIP, SD2, SDXL, SD3, FLUX, MICRO_FAMILY)}
)

OFFERED: tuple[str, ...] = tuple(family.name for family in FAMILIES.values() if family.encoders)
"""The families whose prompt a picture can take the place of, which every door offers. Of the others a picture gives the
pooled vector alone, which is weak beside T5's states: in Python."""


def family_named(name: str) -> Family:
    """Raises SettingsError, which lists the names to choose from."""
    family = FAMILIES.get(name)
    if family is None:
        raise SettingsError(f"There is no model family {quoted(name)}", Choose("family", tuple(OFFERED)))
    return family


def offered_family(name: str) -> Family:
    """One that the doors offer. Raises SettingsError for others, which lists the names to choose from."""
    family = family_named(name)
    if name not in OFFERED:
        raise SettingsError(
            f"{family.title} takes no more than a pooled vector from a picture", Choose("family", tuple(OFFERED))
        )
    return family
