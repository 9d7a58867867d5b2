"""A prompt embedding and a checkpoint to a picture, whose file says how it was made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import Tensor

from ..cures import Give, Take
from ..embed import PromptEmbedding
from ..embed.composing import equally_long
from ..errors import EmbeddingError, ModelError
from ..progress import SILENT, Progress, Task
from ..shortage import within_memory
from .checkpoint import Checkpoint, diffusers_module
from .placing import widen
from .sampling import Sampling


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
    *states, against = equally_long([each.states for each in (*embeddings, negative) if each.states is not None])
    pipeline, count = checkpoint.pipeline, len(embeddings)

    def placed(tensors: Sequence[Tensor | None]) -> Tensor | None:
        given = [tensor for tensor in tensors if tensor is not None]
        return torch.stack(given).to(pipeline._execution_device, pipeline.unet.dtype) if given else None

    found = {"prompt_embeds": placed(states), "negative_prompt_embeds": placed([against] * count)}
    if checkpoint.family.takes_pooled:
        found["pooled_prompt_embeds"] = placed([each.pooled for each in embeddings])
        found["negative_pooled_prompt_embeds"] = placed([negative.pooled] * count)
    return found
