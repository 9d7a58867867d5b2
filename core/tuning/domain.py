"""Tuning on pictures of one domain (SD-IPC-FT): deep prompts by which a CLIP sees what matters there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from ..cures import Give, Take
from ..embed.families import Family
from ..embed.tuned import Tuned, what_is_said, what_is_seen, what_renders
from ..errors import ModelError, SettingsError
from ..files import writing
from ..images import image_key
from ..progress import SILENT, Progress
from ..shortage import within_memory
from ..variation.checkpoint import Checkpoint
from ..variation.lora import Lora
from ..variation.render import usual_size
from ..variation.sampling import Sampling
from .checking import ByJudge, ByNoise, divided
from .course import DOMAIN, DOMAIN_PICTURES, Course, check_pictures
from .journal import Journal
from .learned import Learned, Sight
from .loop import Loop, State, Task, Told, digest, summary
from .material import Material, views_of
from .noise import NoiseLoss

if TYPE_CHECKING:
    from ..engine import Engine
    from ..verify.fidelity import Judge

LORA_ENDING = ".lora.safetensors"
"""Of the file beside the tuned one that holds the key and value projections."""


@dataclass(frozen=True)
class Judged:
    """Another network than the CLIP looks at renderings of the held-out pictures."""

    judge: Judge
    sampling: Sampling


@dataclass(frozen=True)
class Outcome:
    """files: that were written. value, untuned: of the held-out pictures (see `Told`). steps: after how many it was
    best."""

    files: tuple[Path, ...]
    value: float
    untuned: float
    steps: int

    @property
    def remark(self) -> str:
        """What a person should know, one sentence; "" where there is nothing to say."""
        if self.value < self.untuned:
            return ""
        return (
            f"On the pictures that were held out it is no better ({self.value:.4f}) than the closed form alone "
            f"({self.untuned:.4f}): more pictures of one kind, or more steps, may help."
        )


def check_domain(family: Family) -> None:
    """Raises SettingsError for a family whose condition no closed form reaches."""
    if not family.closed_form or not family.encoders:
        raise SettingsError(
            f"{family.title} cannot be tuned on a domain, because no closed form reaches what it listens to",
            "give a checkpoint of Stable Diffusion 1",
            "tune it on one subject",
        )


def check_whole(checkpoint: Checkpoint) -> None:
    """Raises ModelError for one whose parts come to the device in turns: a gradient needs several at once."""
    if not checkpoint.whole:
        raise ModelError(
            f"{checkpoint.name} does not fit on its device as a whole, which tuning needs", Take("use the CPU")
        )


def tune_domain(
    engine: Engine,
    checkpoint: Checkpoint,
    pictures: Sequence[Image.Image],
    output: Path,
    course: Course = DOMAIN,
    judged: Judged | None = None,
    progress: Progress = SILENT,
    report: Callable[[Told], None] = lambda told: None,
) -> Outcome:
    """Learns from nine pictures in ten, keeps what does best on the others, and writes one file, with the key and value
    projections a second one beside it.

    engine: of the CLIP whose text encoder the checkpoint's family listens to. judged: None to look at the held-out
    pictures by the loss itself. A run of the same that was ended goes on.
    Raises SettingsError, ModelError, BatchError, or Cancelled.
    """
    check_domain(checkpoint.family)
    check_whole(checkpoint)
    keys = [image_key(picture) for picture in pictures]
    check_pictures(len(pictures), DOMAIN_PICTURES, len(set(keys)))
    own, held = divided(keys)
    side = course.size or usual_size(checkpoint)[0]
    with room_for(checkpoint):
        clip, form = engine.closed_form(checkpoint.family.name, encoders=checkpoint.encoders)
        pipeline, unet = checkpoint.pipeline, checkpoint.pipeline.unet
        empty = engine.embed_text("", checkpoint.family.name, encoders=checkpoint.encoders)
        assert empty.states is not None
        learned = Learned(course, clip, unet)
        loss, learning, checking = (
            NoiseLoss(pipeline.scheduler, course.min_snr),
            _some(pictures, own),
            _some(pictures, held),
        )
        source = Sight(clip, form, views_of(clip, learning), empty.states)
        held_source = replace(source, views=views_of(clip, checking))
        if judged is None:
            seen = Material.of(checking, pipeline, side, False, progress)
            check: Any = ByNoise(unet, loss, held_source, seen, learned)
        else:
            sampling = replace(judged.sampling, size=(side, side))
            check = ByJudge.of(checkpoint, held_source, learned, judged.judge, checking, empty, sampling)
        material = Material.of(learning, pipeline, side, course.flips, progress)
        models = {
            "sees": what_is_seen(clip),
            "says": what_is_said(checkpoint.encoders),
            "renders": what_renders(unet),
        }
        told = [each.tolist() for each in models.values()]
        deciding = digest(asdict(course), side, sorted(keys), judged and (judged.judge.name, judged.sampling), *told)
        journal = Journal(output, deciding)
        task = Task(unet, loss, source, material, course, learned, check, compute_for(unet))
        state = Loop(task, journal, progress, report).run()
    files = _written(checkpoint, learned, course, state, models, keys, output)
    journal.end()
    return Outcome(files, state.value, state.untuned, state.at)


def room_for(checkpoint: Checkpoint) -> AbstractContextManager[None]:
    """A sentence where memory does not suffice; what a run has kept stays."""
    return within_memory(
        f"{checkpoint.name} runs out of memory while it is tuned",
        "give fewer pictures at once",
        Give("size", "a smaller one"),
        Take("use the CPU"),
    )


def compute_for(unet: torch.nn.Module) -> torch.dtype | None:
    """In which a UNet works while it is learned through: half precision on a GPU, bfloat16 where that has it."""
    device = next(unet.parameters()).device
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def _some(pictures: Sequence[Image.Image], numbers: Sequence[int]) -> list[Image.Image]:
    return [pictures[number] for number in numbers]


def _written(
    checkpoint: Checkpoint,
    learned: Learned,
    course: Course,
    state: State,
    models: dict[str, torch.Tensor],
    keys: Sequence[str],
    output: Path,
) -> tuple[Path, ...]:
    name = Path(checkpoint.name).name
    told = {**asdict(course), **summary(state)}
    files = [output]
    if learned.prompts is not None:
        tuned = Tuned(learned.prompts.state_dict(), checkpoint.family.name, name, models, tuple(keys), told)
        with writing(output):
            tuned.save(output)
    if learned.maps is not None:
        place = output.with_name(f"{output.stem}{LORA_ENDING}")
        with writing(place):
            lora_of(checkpoint, learned, course).save(place)
        files.append(place)
    return tuple(files)


def lora_of(checkpoint: Checkpoint, learned: Learned, course: Course) -> Lora:
    assert learned.maps is not None
    return learned.maps.lora(lora_metadata(checkpoint.family, Path(checkpoint.name).name, course))


def lora_metadata(family: Family, checkpoint: str, course: Course) -> dict[str, str]:
    """What A1111's webui and others look for in a LoRA's metadata."""
    versions = {"sd1": "sd_v1", "sd2": "sd_v2", "sdxl": "sdxl_base_v1-0"}
    metadata = {
        "ss_network_module": "networks.lora",
        "ss_network_dim": str(course.rank),
        "ss_network_alpha": str(course.rank),
        "ss_steps": str(course.steps),
        "ss_learning_rate": str(course.rate),
        "ss_sd_model_name": checkpoint,
    }
    if family.model in versions:
        metadata["ss_base_model_version"] = versions[family.model]
    return metadata
