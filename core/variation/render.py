"""A prompt embedding and a checkpoint to a picture, whose file says how it was made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..cures import Give, Take
from ..embed import PromptEmbedding
from ..errors import EmbeddingError, ModelError, SettingsError
from ..progress import SILENT, Progress, Task
from ..shortage import within_memory
from .checkpoint import Checkpoint, diffusers_module
from .placing import widen

_MULTIPLE = 8  # pixels in a latent
_LARGEST = 4096


@dataclass(frozen=True)
class Sampling:
    """How a picture is sampled.

    guidance: scale of classifier-free guidance (Ho and Salimans 2022); 1 is none. size: width and height in pixels,
    multiples of 8; None for the checkpoint's usual one. denoise: with a picture to begin with, how far it may change,
    above 0 to 1.
    """

    steps: int = 30
    guidance: float = 7.5
    seed: int = 0
    size: tuple[int, int] | None = None
    denoise: float = 0.6

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise SettingsError(f"is {self.steps}", "give 1 or more", control="steps")
        if not (math.isfinite(self.guidance) and self.guidance >= 0):
            raise SettingsError(f"is {self.guidance:g}", "give a number of 0 or more", control="guidance")
        if not 0 <= self.seed < 2**63:
            raise SettingsError(f"is {self.seed}", "give a whole number from 0 to 2^63 - 1", control="seed")
        if not (math.isfinite(self.denoise) and 0 < self.denoise <= 1):
            raise SettingsError(f"is {self.denoise:g}", "give a number above 0, 1 at most", control="denoise")
        for pixels in self.size or ():
            if pixels % _MULTIPLE or not _MULTIPLE <= pixels <= _LARGEST:
                raise SettingsError(
                    f"The size has a side of {pixels} pixels", f"give multiples of {_MULTIPLE} up to {_LARGEST}"
                )


def render(
    checkpoint: Checkpoint,
    embedding: PromptEmbedding,
    negative: PromptEmbedding,
    sampling: Sampling | None = None,
    init: Image.Image | None = None,
    progress: Progress = SILENT,
) -> Image.Image:
    """One picture, the same for the same inputs on the same device.

    negative: what guidance leads away from, usually an empty prompt's embedding. init: a picture to begin with, cropped
    to the size. Raises EmbeddingError for an embedding of another family, MissingPackageError, ModelError for weights
    that give no numbers, or Cancelled.
    """
    return render_together(checkpoint, [embedding], negative, sampling, (), init, progress)[0]


def render_together(
    checkpoint: Checkpoint,
    embeddings: Sequence[PromptEmbedding],
    negative: PromptEmbedding,
    sampling: Sampling | None = None,
    seeds: Sequence[int] = (),
    init: Image.Image | None = None,
    progress: Progress = SILENT,
) -> list[Image.Image]:
    """A picture of each embedding as `render` makes it, in one batch: as fast as the device allows, and with the memory
    of as many pictures. seeds: one for each, or none for the sampling's own for all."""
    sampling = sampling or Sampling()
    pipeline, picture, count = checkpoint.pipeline, None, len(embeddings)
    width, height = sampling.size or usual_size(checkpoint)
    options: dict[str, Any] = {"width": width, "height": height}
    steps = sampling.steps
    if init is not None:
        pipeline = diffusers_module().AutoPipelineForImage2Image.from_pipe(pipeline)
        picture = ImageOps.fit(init.convert("RGB"), (width, height), Image.Resampling.LANCZOS)
        options = {"image": [picture] * count, "strength": sampling.denoise}
        steps = max(1, min(steps, int(steps * sampling.denoise)))
    pipeline.set_progress_bar_config(disable=True)

    def rendered() -> Tensor:
        with progress.task("Rendering", steps, "steps") as task:
            result = pipeline(
                **_conditioning(checkpoint, embeddings, negative),
                **options,
                num_inference_steps=sampling.steps,
                guidance_scale=sampling.guidance,
                generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds or [sampling.seed] * count],
                callback_on_step_end=_reporting(task),
                output_type="np",
            )
        return torch.from_numpy(result.images)

    with within_memory(f"{checkpoint.name} runs out of memory", Give("size", "a smaller one"), Take("use the CPU")):
        pixels = rendered()
        if not bool(torch.isfinite(pixels).all()) and pipeline.unet.dtype is not torch.float32:
            widen(checkpoint.name, pipeline)
            pixels = rendered()
    if not bool(torch.isfinite(pixels).all()):
        raise ModelError(f"{checkpoint.name} gave no numbers", "get its weights again")
    return [Image.fromarray(each.numpy()) for each in (pixels * 255).round().to(torch.uint8)]


def check_family(checkpoint: Checkpoint, embedding: PromptEmbedding) -> None:
    """EmbeddingError for an embedding that the checkpoint cannot take."""
    if embedding.family != checkpoint.family.name or embedding.states is None:
        raise EmbeddingError(
            f"The embedding is for {embedding.family}, but {checkpoint.name or 'the checkpoint'} is of the family "
            f"{checkpoint.family.name}",
            "make it for that one",
        )


def usual_size(checkpoint: Checkpoint) -> tuple[int, int]:
    """The width and height in pixels that the checkpoint was made for."""
    pipeline = checkpoint.pipeline
    side = pipeline.unet.config.sample_size * pipeline.vae_scale_factor
    return side, side


def _reporting(task: Task) -> Any:
    def after_step(pipeline: Any, step: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        task.advance()
        return tensors

    return after_step


def _conditioning(
    checkpoint: Checkpoint, embeddings: Sequence[PromptEmbedding], negative: PromptEmbedding
) -> dict[str, Tensor | None]:
    for each in (*embeddings, negative):
        check_family(checkpoint, each)
    *states, against = _equally_long([each.states for each in (*embeddings, negative) if each.states is not None])
    pipeline, count = checkpoint.pipeline, len(embeddings)

    def placed(tensors: Sequence[Tensor | None]) -> Tensor | None:
        given = [tensor for tensor in tensors if tensor is not None]
        return torch.stack(given).to(pipeline._execution_device, pipeline.unet.dtype) if given else None

    found = {"prompt_embeds": placed(states), "negative_prompt_embeds": placed([against] * count)}
    if checkpoint.family.pooled_width:
        found["pooled_prompt_embeds"] = placed([each.pooled for each in embeddings])
        found["negative_pooled_prompt_embeds"] = placed([negative.pooled] * count)
    return found


def _equally_long(all_states: Sequence[Tensor]) -> list[Tensor]:
    """All are whole stretches of a text encoder's context; a shorter one is repeated, as the hosts do with an empty
    prompt beside a long one."""
    longest = max(len(states) for states in all_states)
    return [states.repeat(math.ceil(longest / len(states)), 1)[:longest] for states in all_states]
