"""How a picture was rendered, in the picture as A1111 writes it: most programs that show prompts read that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ..embed import PromptEmbedding
from ..embed.embedder import Blend
from .checkpoint import Checkpoint
from .render import Sampling, usual_size

_KEY = "parameters"
_EXIF_PART, _USER_COMMENT = 0x8769, 0x9286
FORMATS = (".png", ".jpg", ".jpeg", ".webp")
"""That hold such a text, by the ends of their files' names."""


def infotext(
    checkpoint: Checkpoint, embedding: PromptEmbedding, blend: Blend, sampling: Sampling, denoised: bool = False
) -> str:
    """The prompt on the first line, empty for a wordless variation, and the settings on the last.

    denoised: whether the picture was begun with another one."""
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
        "Unrender picture": embedding.picture,
        "Version": "Unrender",
    }
    return f"{blend.text}\n" + ", ".join(f"{name}: {value}" for name, value in values.items() if value != "")


def with_text(text: str, path: Path) -> dict[str, Any]:
    """How Pillow saves a picture with this text in it, in the format that the name tells, one of `FORMATS`."""
    if path.suffix.casefold() == ".png":
        texts = PngInfo()
        texts.add_text(_KEY, text) if text.isascii() else texts.add_itxt(_KEY, text)
        return {"pnginfo": texts}
    exif = Image.Exif()
    exif.get_ifd(_EXIF_PART)[_USER_COMMENT] = b"UNICODE\0" + text.encode("utf-16-be")
    return {"exif": exif, "quality": 95}


def _without_commas(name: str) -> str:
    """Readers split the settings at commas."""
    return name.replace("\\", "/").rsplit("/", 1)[-1].replace(",", " ")
