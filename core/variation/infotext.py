"""How a picture was rendered, as A1111 writes it: most programs that show prompts read that."""

from __future__ import annotations

import json

from ..embed import PromptEmbedding
from ..embed.blend import Blend
from ..embed.direction import Direction
from .checkpoint import Checkpoint
from .render import Sampling, usual_size


def infotext(
    checkpoint: Checkpoint,
    embedding: PromptEmbedding,
    blend: Blend,
    sampling: Sampling,
    denoised: bool = False,
    moved: tuple[Direction, float] | None = None,
) -> str:
    """The prompt on the first line, empty for a wordless variation, and the settings on the last.

    denoised: whether the picture was begun with another one. moved: along which direction the pictures' embedding was,
    and how far."""
    width, height = sampling.size or usual_size(checkpoint)
    values = {
        "Steps": sampling.steps,
        "Sampler": type(checkpoint.pipeline.scheduler).__name__.removesuffix("Scheduler"),
        "CFG scale": f"{sampling.guidance:g}",
        "Seed": sampling.seed,
        "Size": f"{width}x{height}",
        "Model": _without_commas(checkpoint.name),
        "Denoising strength": f"{sampling.denoise:g}" if denoised else "",
        "Unrender projection": embedding.projection,
        "Unrender strength": f"{blend.strength:g}",
        "Unrender alpha": f"{blend.alpha:g}" if blend.text and "pinv" in embedding.projection else "",
        "Unrender away": _quoted(moved[0].away) if moved else "",
        "Unrender toward": _quoted(moved[0].toward) if moved else "",
        "Unrender amount": f"{moved[1]:g}" if moved else "",
        "Unrender picture": embedding.picture,
        "Version": "Unrender",
    }
    return f"{blend.text}\n" + ", ".join(f"{name}: {value}" for name, value in values.items() if value != "")


def _without_commas(name: str) -> str:
    """Readers split the settings at commas."""
    return name.replace("\\", "/").rsplit("/", 1)[-1].replace(",", " ")


def _quoted(text: str) -> str:
    """As the webui writes values that its readers would cut: in JSON's quotation marks."""
    return json.dumps(text, ensure_ascii=False) if {*text} & {*',:"\n'} else text
