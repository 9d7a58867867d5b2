"""Tuning on one subject, of which there are one to five pictures (SD-IPC-CT): the maps by which a UNet listens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image

from ..embed import PromptEmbedding
from ..embed.blend import Blend
from ..embed.composing import mixed
from ..embed.gap import GapCorrection
from ..embed.kinds import Quality
from ..errors import SettingsError
from ..files import writing
from ..images import image_key
from ..progress import SILENT, Progress
from ..variation.checkpoint import Checkpoint
from ..variation.lora import Lora
from ..variation.render import usual_size
from .checking import as_embedding
from .course import ONLINE, ONLINE_PICTURES, Course, check_pictures
from .domain import check_domain, check_whole, compute_for, lora_of, room_for
from .journal import Journal
from .learned import Given, Learned, Sight
from .loop import Loop, Source, Task, digest
from .material import Material, views_of
from .noise import NoiseLoss

if TYPE_CHECKING:
    from ..engine import Engine

EMBEDDING_ENDING = ".embedding.safetensors"
"""Of the file beside the LoRA, with what stands in a prompt's place."""


def tune_online(
    engine: Engine,
    checkpoint: Checkpoint,
    pictures: Sequence[Image.Image],
    output: Path | None = None,
    course: Course = ONLINE,
    projection: str | None = None,
    blend: Blend | None = None,
    gap: GapCorrection | None = None,
    quality: Quality | None = None,
    progress: Progress = SILENT,
) -> tuple[Lora, PromptEmbedding, tuple[Path, ...]]:
    """A LoRA of the key and value projections, and the embedding that it was learned with; in files where `output` is
    given: the LoRA's, and beside it the embedding's.

    projection, blend, gap, quality: how the pictures are embedded, as `Engine.embed` has them; with the course's deep
    prompts, by the closed form of what those let the CLIP see. Raises SettingsError, ModelError, EmbeddingError,
    BatchError, or Cancelled.
    """
    if not course.maps:
        raise SettingsError("One subject is learned by key and value projections", "learn them")
    keys = [image_key(picture) for picture in pictures]
    check_pictures(len(pictures), ONLINE_PICTURES, len(set(keys)))
    check_whole(checkpoint)
    if course.prompts:
        check_domain(checkpoint.family)
    side = course.size or usual_size(checkpoint)[0]
    name, encoders = checkpoint.family.name, checkpoint.encoders
    with room_for(checkpoint):
        empty = engine.embed_text("", name, encoders=encoders)
        pipeline, unet = checkpoint.pipeline, checkpoint.pipeline.unet
        made: list[PromptEmbedding] = []
        source: Source
        if course.prompts:
            clip, form = engine.closed_form(name, encoders=encoders)
            assert empty.states is not None
            source, learned = Sight(clip, form, views_of(clip, pictures), empty.states), Learned(course, clip, unet)
        else:
            made = [
                engine.embed(each, name, projection, blend, gap, quality=quality, encoders=encoders)
                for each in pictures
            ]
            source, learned = Given(made, empty, side), Learned(course, None, unet)
        material = Material.of(pictures, pipeline, side, course.flips, progress)
        loss = NoiseLoss(pipeline.scheduler, course.min_snr)
        journal = None
        if output is not None:
            states = [digest(None if each.states is None else each.states.tolist(), each.projection) for each in made]
            journal = Journal(output, digest(asdict(course), side, keys, *states, checkpoint.name))
        task = Task(unet, loss, source, material, course, learned, None, compute_for(unet))
        Loop(task, journal, progress).run()
        embedding = mixed(made) if made else _seen(checkpoint, source, learned, keys)
    lora = lora_of(checkpoint, learned, course)
    files = () if output is None else _written(lora, embedding, output)
    if journal is not None:
        journal.end()
    return lora, embedding, files


@torch.no_grad()
def _seen(checkpoint: Checkpoint, source: Source, learned: Learned, keys: Sequence[str]) -> PromptEmbedding:
    """What the learned prompts make of the pictures."""
    plain = torch.zeros(1, dtype=torch.bool)
    each = [
        as_embedding(checkpoint, source.conditions([number], plain, learned.prompts)) for number in range(len(keys))
    ]
    whole = mixed(each)
    return PromptEmbedding(whole.family, whole.states, None, "", "+".join(keys), "tuned online")


def _written(lora: Lora, embedding: PromptEmbedding, output: Path) -> tuple[Path, ...]:
    beside = output.with_name(f"{output.stem}{EMBEDDING_ENDING}")
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
        lora.save(output)
    embedding.save(beside)
    return output, beside
