"""A checkpoint in one safetensors file, as webuis and ComfyUI hold it: whose it is, and the settings to read it by."""

from __future__ import annotations

from pathlib import Path

from ..embed.families import FAMILIES, Family
from ..errors import ModelError
from ..foreign import Unreadable, read_header

SUFFIX = ".safetensors"
_FIRST_LAYER = "model.diffusion_model.input_blocks.0.0.weight"
_LATENT_CHANNELS = 4
_AUTOENCODER = "first_stage_model."
_OLD_TEXT_ENCODER = "cond_stage_model.transformer.embeddings."


def family_of_file(path: Path) -> Family:
    """By the names of its tensors. Raises ModelError for what is no text-to-image model of Stable Diffusion 1, 2 or XL
    in safetensors."""
    if path.suffix != SUFFIX:
        raise ModelError(f"{path} is no safetensors file, and no other kind is opened", "convert the checkpoint")
    try:
        names = read_header(path).tensors
        first = names.get(_FIRST_LAYER)
        channels = first.shape[1] if first is not None and len(first.shape) == 4 else None
    except Unreadable as error:
        raise ModelError(f"{path} cannot be read as safetensors ({error})", "download it again") from error
    told = [family for family in FAMILIES.values() if family.prefix]
    family = next((each for each in told if any(name.startswith(each.prefix) for name in names)), None)
    if family is None or channels is None:
        raise ModelError(
            f"{path} holds no whole Stable Diffusion 1, 2 or XL, with its text encoders, under the names that webuis "
            "use",
            "give such a checkpoint",
        )
    if not any(name.startswith(_AUTOENCODER) for name in names):
        raise ModelError(f"{path} has no VAE in it ({_AUTOENCODER}...)", "give a checkpoint that comes with its VAE")
    if any(name.startswith(_OLD_TEXT_ENCODER) for name in names):
        raise ModelError(
            f"{path} names its text encoder's weights in an old way ({_OLD_TEXT_ENCODER}...)",
            "save it again with a webui's checkpoint merger",
        )
    if channels != _LATENT_CHANNELS:
        raise ModelError(f"{path} is made for inpainting or the like", "give a checkpoint that renders from text alone")
    return family
