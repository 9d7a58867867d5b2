"""A Clip made of the text encoder and the vision model that a graph holds, so that nothing more is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..core.clip import Clip
from ..core.clip.deep_prompts import transformers_blocks
from ..core.clip.model import VisionTower
from ..core.clip.patches import transformers_patches
from ..core.clip.preprocess import Preprocess
from ..core.clip.text_encoder import TowerEncoder
from ..core.clip.text_tower import TextTower
from ..core.clip.weights import TowerWeights
from ..core.cures import Choose, Give
from ..core.devices import pick_arithmetic
from ..core.embed.families import CLIP_G, CLIP_H, CLIP_L, FAMILIES
from ..core.embed.seen import Seen
from ..core.embed.text_side import sampled_fingerprint
from ..core.errors import ModelError
from ..core.progress import Progress
from ..core.prompt.memory import WORKING_MEMORY
from . import host
from .links import check_clip, check_clip_vision
from .models import ClipSource, Setup
from .text_encoders import tokenizer_of, tower_weights
from .text_projection import find_projection

_FLOAT32 = 4


@dataclass(frozen=True)
class Partners:
    """A text encoder by ComfyUI's name for it, and the vision model that was trained with it; width: of the space
    they share."""

    name: str
    width: int
    vision: str
    vision_file: str


_ENCODERS = {encoder.name: encoder for family in FAMILIES.values() for encoder in family.encoders}
_PARTNERS = {
    CLIP_L: Partners("CLIP-L", 768, "ViT-L/14", "clip-vit-large-patch14"),
    CLIP_H: Partners("CLIP-H", 1024, "ViT-H/14", "CLIP-ViT-H-14-laion2B-s32B-b79K"),
    CLIP_G: Partners("CLIP-G", 1280, "ViT-bigG/14", "CLIP-ViT-bigG-14-laion2B-39B-b160k"),
}


def clip_of_width(width: int) -> str:
    """The CLIP, by name, whose vision model gives embeddings of this width in a graph. Raises ModelError."""
    name = next((_ENCODERS[part].clip for part, each in _PARTNERS.items() if each.width == width), None)
    if name is None:
        raise ModelError(
            f"It is not known which CLIP has seen what is connected to image: it gave {width} numbers for a picture",
            "connect the picture itself",
            "connect an interrogator with that CLIP",
        )
    return name


def check_seen(looks: Any, part: str) -> None:
    """ModelError where pictures were seen already, by another vision model than belongs to that text encoder."""
    if isinstance(looks, Seen) and looks.features.shape[-1] != _PARTNERS[part].width:
        raise ModelError(_mismatch([part], looks.features.shape[-1]))


def check_belongs(setup: Setup, part: str, progress: Progress) -> None:
    """ModelError where an interrogator's CLIP cannot see for that text encoder. Loads the CLIP, if it is not yet."""
    known = setup.source.projection
    width = setup.source.clip(progress).encode_texts([""]).shape[-1] if known is None else len(known)
    if width != _PARTNERS[part].width:
        raise ModelError(
            f"The interrogator's CLIP {setup.settings.clip} does not belong to this checkpoint, which listens to "
            f"{_PARTNERS[part].name}: it sees pictures in {width} numbers, not {_PARTNERS[part].width}",
            f"choose {_ENCODERS[part].clip} as clip in Load Interrogator",
            _connect(part),
        )


def _connect(part: str) -> str:
    named = _PARTNERS[part]
    return f"load {named.vision} ({named.vision_file}) with Load CLIP Vision and connect it to clip_vision"


class FamilysClip:
    """The CLIP that belongs to a text encoder, by its name. Where it cannot be had, another by name would not do."""

    projection = None

    def __init__(self, source: ClipSource, part: str) -> None:
        self._source, self._part = source, part

    @property
    def patchers(self) -> list[Any]:
        return self._source.patchers

    def clip(self, progress: Progress, *beside: Any) -> Clip:
        try:
            return self._source.clip(progress, *beside)
        except ModelError as error:
            others = (cure for cure in error.cures if not isinstance(cure, Give | Choose) or cure.control != "clip")
            raise type(error)(error.problem, _connect(self._part), *others) from error


class GraphClip:
    """Makes a Clip of a CLIP and a CLIP_VISION, each in ComfyUI's care and as patched by LoRAs.

    projection [width, width of the text encoder]: to the space they share, in main memory. patched: whether the text
    encoder is that of the LoRAs, or the one that the vision model was trained with."""

    def __init__(self, clip: Any, clip_vision: Any | None, part: str, projection: Tensor, patched: bool = True) -> None:
        self._clip = clip
        self._patched = patched
        self._vision = clip_vision
        self._part = part
        self.projection = projection

    @classmethod
    def of(cls, clip: Any, clip_vision: Any, progress: Progress, part: str | None = None) -> GraphClip:
        """part: which of the CLIP's text encoders, where the vision model must not belong to any other.

        Raises ModelError when the two do not belong together, or lack what joins them, SettingsError for what is
        neither."""
        check_clip(clip)
        check_clip_vision(clip_vision)
        return cls(clip, clip_vision, *_joined(clip, _vision_width(clip_vision), part, progress))

    @classmethod
    def without_vision(cls, clip: Any, width: int, progress: Progress, part: str | None = None) -> GraphClip:
        """For pictures that a vision model of that width has seen already. Raises what `of` does."""
        return cls(clip, None, *_joined(clip, width, part, progress))

    def plain(self) -> GraphClip:
        """The same without patches such as LoRAs: what is known of it holds for whichever are on."""
        return GraphClip(self._clip, self._vision, self._part, self.projection, False)

    def clip(self, progress: Progress, *beside: Any) -> Clip:
        """Its text encoder is copied when a text is first encoded: who looks at pictures alone does not wait."""
        host.bring_patchers([*self.patchers, *beside])
        name = f"{_PARTNERS[self._part].name} of the graph"
        scale = float(host.clip_logit_scale(self._clip, self._part))
        seeing = _BLIND if self._vision is None else (_vision_tower(self._vision), _preprocess(self._vision))
        device = self._clip.patcher.load_device
        return _ClipInPlace(self, name, *seeing, self._text_encoder, scale, device, torch.float32)

    def fingerprint(self) -> str:
        return sampled_fingerprint(self._weights())

    @property
    def patchers(self) -> list[Any]:
        return [self._clip.patcher, *([] if self._vision is None else [self._vision.patcher])]

    def _weights(self) -> TowerWeights:
        return tower_weights(self._clip, self._part, self.projection, self._patched)

    def _text_encoder(self) -> TowerEncoder:
        encoder = host.clip_text_encoders(self._clip)[self._part]
        copy = _FLOAT32 * sum(parameter.numel() for parameter in encoder.parameters())
        host.bring_patchers(self.patchers, WORKING_MEMORY + copy)
        device, weights = self._clip.patcher.load_device, self._weights()
        arithmetic = pick_arithmetic("auto", device)
        rough = None if arithmetic.rough is None else TextTower(weights.to(device, arithmetic.rough))
        exact = weights.to(device, torch.float32)
        return TowerEncoder(TextTower(exact), tokenizer_of(self._clip, self._part, exact), rough)


class _ClipInPlace(Clip):
    """Known by a sample of its weights, because a graph's may have changed in every run."""

    def __init__(self, source: GraphClip, *parts: Any) -> None:
        super().__init__(*parts)
        self._source = source

    @cached_property
    def fingerprint(self) -> str:
        return self._source.fingerprint()


def _refuse(_: Any) -> Tensor:
    raise ModelError(
        "What is connected to image has been seen already, so no vision model is at hand for other pictures",
        "connect one to clip_vision, or let CLIP Vision Encode see them too",
    )


_BLIND = (VisionTower(_refuse, torch.nn.Module()), _refuse)


def _joined(clip: Any, width: int, part: str | None, progress: Progress) -> tuple[str, Tensor]:
    """The name of the text encoder that a vision model of that width belongs to, and the projection that joins them."""
    encoders = host.clip_text_encoders(clip)
    if part is not None:
        encoders = {part: encoders[part]}
    if not encoders:
        raise ModelError("This CLIP has no CLIP text encoder", "connect that of SD 1, SD 2, SDXL, SD 3 or FLUX")
    part = next((name for name, each in encoders.items() if each.text_projection.weight.shape[0] == width), None)
    if part is None:
        raise ModelError(_mismatch(list(encoders), width))
    host.bring_patchers([clip.patcher])
    if not _ENCODERS[part].keeps_projection:  # ComfyUI fills the gap with whatever is in memory
        return part, find_projection(encoders[part].text_model, progress)
    projection = encoders[part].text_projection.weight.float().cpu()
    if not bool(projection.isfinite().all()) or not bool(projection.any()):
        raise ModelError(
            f"The checkpoint holds no text projection for its {_PARTNERS[part].name}",
            "load the CLIP from a file that has one",
        )
    return part, projection


def _vision_width(clip_vision: Any) -> int:
    projection = getattr(getattr(clip_vision.model, "visual_projection", None), "weight", None)
    if projection is None:
        raise ModelError(
            "This vision model is no CLIP",
            f"load the one that belongs to the text encoder, such as {_PARTNERS[CLIP_L].vision_file} for SD 1 and SDXL",
        )
    return int(projection.shape[0])


def _mismatch(parts: Sequence[str], width: int) -> str:
    loaded = next((each.vision for each in _PARTNERS.values() if each.width == width), "")
    wanted = " or ".join(f"{_PARTNERS[part].vision} ({_PARTNERS[part].vision_file})" for part in parts)
    return (
        f"The vision model{f' is {loaded} and' if loaded else ''} does not belong to this CLIP; "
        f"load {wanted} with Load CLIP Vision."
    )


def _vision_tower(clip_vision: Any) -> VisionTower:
    """On the vision model's own device, which need not be the text encoder's."""
    model, device = clip_vision.model, clip_vision.load_device
    patches = transformers_patches(model.vision_model, model.visual_projection)

    def see(pixels: Tensor) -> Tensor:
        # without an intermediate output LLaVA's fail
        return model(pixel_values=pixels.to(device), intermediate_output=-2)[2].to(pixels.device)

    def see_patches(pixels: Tensor) -> Tensor:
        assert patches is not None
        return patches(pixels.to(device)).to(pixels.device)

    blocks = transformers_blocks(model.vision_model)
    return VisionTower(see, model, None if patches is None else see_patches, blocks)


def _preprocess(clip_vision: Any) -> Preprocess:
    side = clip_vision.image_size
    return Preprocess((side, side), tuple(clip_vision.image_mean), tuple(clip_vision.image_std))
