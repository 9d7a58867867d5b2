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
from ..embed.direction import USUAL_AMOUNT, Direction, check_amount
from ..embed.gap import GapCorrection
from ..embed.kinds import Quality, is_tuned
from ..embed.seen import Seen
from ..embed.tuned import check_renders
from ..errors import SettingsError
from ..hub import Hub
from ..images import image_key, open_images
from .checkpoint import Checkpoint
from .infotext import infotext
from .lora import Added
from .render import Sampling, render

if TYPE_CHECKING:
    from ..engine import Engine


class Variation(NamedTuple):
    """A rendered picture, its seed, its settings as A1111 writes them, and what a person should know of the embedding
    (see `PromptEmbedding.remark`). amount: how far it was moved, where a direction is given."""

    image: Image.Image
    seed: int
    infotext: str
    remark: str
    amount: float | None = None


@dataclass(frozen=True)
class Request:
    """What is asked for.

    images: pictures that are mixed into one embedding. projection, quality: as `Engine.embed` has them. negative: a
    prompt that guidance leads away from. count: how many pictures, with seeds that count up. init: a picture to begin
    with. lora: changes the UNet meanwhile. direction: along which what the CLIP sees of the pictures is moved, by each
    of the amounts in turn; no captioner is asked then, who would say what they show unmoved.
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
    direction: Direction | None = None
    amounts: Sequence[float] = (USUAL_AMOUNT,)

    def __post_init__(self) -> None:
        for amount in self.amounts:
            check_amount(amount)
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
    if is_tuned(request.projection):
        engine.check_embedding(len(request.images), checkpoint.family.name, request.projection, request.blend)
        check_renders(request.projection or "", Hub(engine.settings.cache).folder, checkpoint.pipeline.unet)
    moved = list(_moved(engine, request))
    embeddings = [(amount, _embedded(engine, checkpoint, request, seen)) for amount, seen in moved]
    negative = negative_embedding(engine, checkpoint, request.negative)
    if not checkpoint.whole:
        engine.unload()  # which leaves the room to what renders
    for amount, embedding in embeddings:
        for number in range(request.count):
            sampling = replace(request.sampling, seed=request.sampling.seed + number)
            with _changed(checkpoint, request):
                image = render(checkpoint, embedding, negative, sampling, request.init, engine.progress)
            way = None if request.direction is None or amount is None else (request.direction, amount)
            text = infotext(checkpoint, embedding, request.blend, sampling, request.init is not None, way)
            yield Variation(image, sampling.seed, text, embedding.remark, amount)


def _moved(engine: Engine, request: Request) -> Iterator[tuple[float | None, Sequence[Any] | Seen]]:
    """The pictures, or what is seen of them after each amount of the direction, and that amount."""
    if request.direction is None:
        yield None, request.images
        return
    pictures = open_images(request.images)
    seen = Seen(engine.picture_features(pictures), tuple(map(image_key, pictures)))
    for amount in request.amounts:
        yield amount, request.direction.moved(seen, amount, engine.text_features)


def _embedded(
    engine: Engine, checkpoint: Checkpoint, request: Request, images: Sequence[Any] | Seen
) -> PromptEmbedding:
    how = (request.projection, request.blend, request.gap)
    return engine.embed(images, checkpoint.family.name, *how, quality=request.quality, encoders=checkpoint.encoders)


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
