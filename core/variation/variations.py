"""Pictures in, pictures out: the whole way of a variation without words, or with some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from PIL import Image

from ..embed import PromptEmbedding
from ..embed.blend import Blend, check_blend, check_quality
from ..embed.gap import GapCorrection
from ..embed.kinds import Quality, is_tuned
from ..embed.tuned import check_renders
from ..errors import SettingsError
from ..hub import Hub
from .checkpoint import Checkpoint
from .infotext import infotext
from .lora import Added
from .render import Sampling, render

if TYPE_CHECKING:
    from ..engine import Engine


class Variation(NamedTuple):
    """A rendered picture, its seed, its settings as A1111 writes them, and what a person should know of the embedding
    (see `PromptEmbedding.remark`)."""

    image: Image.Image
    seed: int
    infotext: str
    remark: str


@dataclass(frozen=True)
class Request:
    """What is asked for.

    images: pictures that are mixed into one embedding. projection, quality: as `Engine.embed` has them. negative: a
    prompt that guidance leads away from. count: how many pictures, with seeds that count up. init: a picture to begin
    with. lora: changes the UNet meanwhile.
    Raises SettingsError where that does not go together.
    """

    images: Sequence[Any]
    projection: str | None = None
    blend: Blend = field(default_factory=Blend)
    gap: GapCorrection | None = None
    negative: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    count: int = 1
    init: Image.Image | None = None
    quality: Quality | None = None
    lora: Added | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise SettingsError(f"The number of pictures is {self.count}", "give 1 or more")
        check_quality(self.quality)
        check_blend(self.blend, len(self.images), self.projection)
        replace(self.sampling, seed=self.sampling.seed + self.count - 1)  # the last one's has to be a seed, too


def variations(engine: Engine, checkpoint: Checkpoint, request: Request) -> Iterator[Variation]:
    """Embeds the pictures for the checkpoint's own text encoders, then renders one picture after the other.

    engine: of the CLIP whose text encoder the checkpoint's family listens to (`checkpoint.family.clip`).
    Raises what `Engine.embed` and `render` do.
    """
    family, encoders = checkpoint.family.name, checkpoint.encoders
    if is_tuned(request.projection):
        engine.check_embedding(len(request.images), family, request.projection, request.blend)
        check_renders(request.projection or "", Hub(engine.settings.cache).folder, checkpoint.pipeline.unet)
    how = (request.projection, request.blend, request.gap)
    embedding = engine.embed(request.images, family, *how, quality=request.quality, encoders=encoders)
    negative = negative_embedding(engine, checkpoint, request.negative)
    if not checkpoint.whole:
        engine.unload()  # which leaves the room to what renders
    for number in range(request.count):
        sampling = replace(request.sampling, seed=request.sampling.seed + number)
        with _changed(checkpoint, request):
            image = render(checkpoint, embedding, negative, sampling, request.init, engine.progress)
        text = infotext(checkpoint, embedding, request.blend, sampling, request.init is not None)
        yield Variation(image, sampling.seed, text, embedding.remark)


def _changed(checkpoint: Checkpoint, request: Request) -> AbstractContextManager[None]:
    """In which the LoRA takes part; undone while the caller has a picture."""
    if request.lora is None:
        return nullcontext()
    added = request.lora
    return added.lora.applied(checkpoint.pipeline.unet, added.name, added.strength)


def negative_embedding(engine: Engine, checkpoint: Checkpoint, text: str = "") -> PromptEmbedding:
    """What guidance leads away from. Raises what `Engine.embed_text` does."""
    embedding = engine.embed_text(text, checkpoint.family.name, encoders=checkpoint.encoders)
    return _zeros_like(embedding) if not text and takes_zeros(checkpoint) else embedding


def takes_zeros(checkpoint: Checkpoint) -> bool:
    """Whether the checkpoint was trained with zeros in an empty prompt's place, as SDXL's base model was."""
    return bool(checkpoint.pipeline.config.get("force_zeros_for_empty_prompt"))


def _zeros_like(embedding: PromptEmbedding) -> PromptEmbedding:
    def zeros(tensor: torch.Tensor | None) -> torch.Tensor | None:
        return None if tensor is None else torch.zeros_like(tensor)

    return replace(embedding, states=zeros(embedding.states), pooled=zeros(embedding.pooled))
