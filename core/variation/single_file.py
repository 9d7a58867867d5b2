"""A checkpoint in one safetensors file, as webuis and ComfyUI hold it: whose it is, and the settings to read it by."""

from __future__ import annotations

from pathlib import Path

from ..embed.families import SD1, SD2, SDXL, Family
from ..errors import ModelError
from . import DEFAULT_CHECKPOINT

SUFFIX = ".safetensors"
SETTINGS = {
    SD1.name: DEFAULT_CHECKPOINT,
    SD2.name: "stabilityai/stable-diffusion-2-1",
    SDXL.name: "stabilityai/stable-diffusion-xl-base-1.0",
}
"""Hub ids of pipelines with each family's settings, which the file does not hold; diffusers takes the same ones."""

_TEXT_ENCODERS = {
    "conditioner.embedders.1.model.": SDXL,
    "cond_stage_model.model.": SD2,
    "cond_stage_model.transformer.": SD1,
}
_FIRST_LAYER = "model.diffusion_model.input_blocks.0.0.weight"
_LATENT_CHANNELS = 4


def family_of_file(path: Path) -> Family:
    """By the names of its tensors. Raises ModelError for what is no text-to-image model of Stable Diffusion 1, 2 or XL
    in safetensors."""
    from safetensors import SafetensorError, safe_open

    if path.suffix != SUFFIX:
        raise ModelError(f"{path} is no safetensors file, and no other kind is opened; convert the checkpoint.")
    try:
        with safe_open(str(path), framework="pt") as file:
            names = set(file.keys())
            channels = file.get_slice(_FIRST_LAYER).get_shape()[1] if _FIRST_LAYER in names else None
    except SafetensorError as error:
        raise ModelError(f"{path} cannot be read as safetensors ({error}); download it again.") from error
    held = (each for start, each in _TEXT_ENCODERS.items() if any(name.startswith(start) for name in names))
    family = next(held, None)
    if family is None or channels is None:
        raise ModelError(
            f"{path} holds no whole Stable Diffusion 1, 2 or XL, with its text encoders, under the names that webuis "
            "use; give such a checkpoint."
        )
    if channels != _LATENT_CHANNELS:
        raise ModelError(f"{path} is made for inpainting or the like; give a checkpoint that renders from text alone.")
    return family
