"""What the page Embedding has done for it: pictures as an embedding, kept in a folder, and looked at before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.embed.kinds import PROJECTIONS, TUNED, Quality
from ..core.errors import EmbeddingError, ImageError
from ..core.file_names import pasted
from ..core.printable import quoted
from .choices import BY_QUALITY, NO_PICTURE
from .downloads import check_agreed, checkpoint_download
from .host import Host
from .jobs import Job
from .needs import SIGHT, embedding_settings

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from ..core.embed import PromptEmbedding
    from ..core.study.analyze import Analysis

RENDERING_MEMORY = 5 * 2**30
"""Bytes that Stable Diffusion 1 takes in half precision beside a CLIP, and a little more."""

_NEAREST = 5


class Weighted(NamedTuple):
    """picture: as a page gives it. weight: how much it counts, 0 for not at all."""

    picture: Any
    weight: float


@dataclass(frozen=True)
class EmbeddingRequest:
    """What is to be embedded; see `core.embed.blend.Blend`.

    quality: None for what was found to suit the family's text encoders. projection: in the quality's place; BY_QUALITY
    for the one that it takes. anchor: "" where a search is to find it."""

    pictures: Sequence[Weighted]
    family: str
    quality: Quality | None = None
    projection: str = BY_QUALITY
    anchor: str = ""
    text: str = ""
    alpha: float = 0.6
    strength: float = 1.0


@dataclass(frozen=True)
class Kept:
    """What a page holds on to between two clicks. shared: what a CLIP saw that the pictures share, [joint width], and
    its name; none for an embedding that was loaded."""

    embedding: PromptEmbedding
    shared: Tensor | None = None
    clip: str = ""

    @property
    def summary(self) -> str:
        """One line, or two sentences where there is a remark."""
        return " ".join(filter(None, [f"{self.embedding.description}.", self.embedding.remark]))


class Preview(NamedTuple):
    """Either of the two."""

    image: Image | None
    nearest: Analysis | None


def embedded(host: Host, asked: EmbeddingRequest, job: Job) -> Kept:
    """Raises what `Engine.embed` does."""
    from ..core.embed.blend import Blend, check_asked, checked_way
    from ..core.embed.families import offered_family
    from ..core.embed.tuned_places import refuse_places
    from ..core.prompt.together import shared_features

    family = offered_family(asked.family)
    projection = None if asked.projection == BY_QUALITY else asked.projection
    quality = asked.quality if projection is None else None
    refuse_places(projection)
    way = checked_way(family, projection, quality)
    counting = [each for each in asked.pictures if each.picture is not None and each.weight > 0]
    if not counting:
        raise ImageError(NO_PICTURE)
    weights, anchor = tuple(each.weight for each in counting), asked.anchor.strip() or None
    blend = Blend(weights, text=asked.text.strip(), alpha=asked.alpha, strength=asked.strength, anchor=anchor)
    check_asked(blend, projection, quality)
    settings = replace(host.settings(), clip=host.seeing(family))
    settings, needs = embedding_settings(settings, way.searched and anchor is None)
    with host.pixels.held(job) as opening:
        pictures = [opening(each.picture) for each in counting]
        with host.lent(job, settings, needs) as engine:
            made = engine.embed(pictures, family.name, projection, blend, quality=quality)
            shared = shared_features(engine.picture_features(pictures), weights)
            return Kept(made, shared, settings.clip)


def save(host: Host, kept: Kept | None, name: str) -> Path:
    """Raises EmbeddingError."""
    from ..core.embed.folder import FOLDER, save_as

    if kept is None:
        raise EmbeddingError("There is no embedding yet", "make or load one first")
    return save_as(kept.embedding, _cache_of(host) / FOLDER, name)


def is_taken(host: Host, name: str) -> bool:
    """Whether one of that name is saved. Raises EmbeddingError for what is no name."""
    from ..core.embed.folder import FOLDER, path_for

    return path_for(_cache_of(host) / FOLDER, name).exists()


def load(host: Host, name: str) -> Kept:
    """Raises EmbeddingError."""
    from ..core.embed import PromptEmbedding

    return Kept(PromptEmbedding.load(saved_embedding(_cache_of(host), name)))


def saved(host: Host) -> list[str]:
    return saved_names(_cache_of(host))


def saved_names(cache: Path) -> list[str]:
    from ..core.embed.folder import FOLDER, saved_embeddings

    return list(saved_embeddings(cache / FOLDER))


def saved_embedding(cache: Path, name: str) -> Path:
    """The file of one of `saved_names`. Raises EmbeddingError."""
    from ..core.embed.folder import FOLDER, saved_embeddings

    path = saved_embeddings(cache / FOLDER).get(name)
    if path is None:
        raise EmbeddingError(f"There is no saved embedding {quoted(name)}", "choose one of the list")
    return path


def projections(host: Host) -> list[str]:
    """What a page offers: those with a name of their own, and what was tuned on pictures."""
    return [BY_QUALITY, *PROJECTIONS, *tuned_projections(_cache_of(host))]


def tuned_projections(cache: Path) -> list[str]:
    from ..core.embed.tuned_places import tuned_folder, tuned_names

    return [f"{TUNED}{name}" for name in tuned_names(tuned_folder(cache))]


def _cache_of(host: Host) -> Path:
    from ..core.hub import Hub

    return Hub(host.settings().cache).folder


def previewed(host: Host, kept: Kept | None, checkpoint: str, job: Job) -> Preview:
    """What a checkpoint renders of it, or without a checkpoint the phrases nearest to its pictures.

    checkpoint: a hub id, a folder or a file, or nothing.
    Raises what `Checkpoint.load`, `render` and `Engine.analyze_features` do.
    """
    from ..core.embed.families import family_named

    if kept is None:
        raise EmbeddingError("There is no embedding yet", "make or load one first")
    clip = kept.clip or host.seeing(family_named(kept.embedding.family))
    settings = replace(host.settings(), clip=clip, captioner=None)
    if pasted(checkpoint):
        host.folders.check_model(checkpoint)
        return Preview(_rendered(host, kept.embedding, pasted(checkpoint), settings, job), None)
    if kept.shared is None:
        raise EmbeddingError("An embedding that was loaded can only be rendered", "name a checkpoint")
    with host.lent(job, settings, SIGHT) as engine:
        return Preview(None, engine.analyze_features(kept.shared[None], None, _NEAREST)[0])


def _rendered(host: Host, embedding: PromptEmbedding, name: str, settings: Any, job: Job) -> Image:
    from ..core.devices import pick_device
    from ..core.hub import Hub
    from ..core.variation.checkpoint import Checkpoint, takes_half
    from ..core.variation.render import check_family, render
    from ..core.variation.variations import negative_embedding

    hub = Hub(settings.cache)
    half = takes_half(pick_device(settings.device))
    if job.agreed is not None and (wanted := checkpoint_download(name, half, hub)) is not None:
        check_agreed([wanted], job.agreed)
    with host.lent(job, settings, SIGHT) as engine, host.make_room(RENDERING_MEMORY):
        checkpoint = Checkpoint.load(name, settings.device, hub, job)
        check_family(checkpoint, embedding)
        return render(checkpoint, embedding, negative_embedding(engine, checkpoint), progress=job)
