"""A checkpoint in one safetensors file, as webuis and ComfyUI hold it: whose it is, and the settings to read it by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..embed.families import FAMILIES, SD2, Family
from ..errors import ModelError
from ..foreign import Unreadable, read_header, read_tensors

SUFFIX = ".safetensors"
_FIRST_LAYER = "model.diffusion_model.input_blocks.0.0.weight"
_LATENT_CHANNELS = 4
_LAST_NORM = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"
_SPREAD_OF_VELOCITY = 0.09
"""Of that tensor in Stable Diffusion 2: less in the base models, which predict noise, more in those for 768 pixels,
which predict velocity. ComfyUI tells them apart by it."""
_BASE_SIDE = 64
_VELOCITY, _ZERO_AT_THE_END = "v_pred", "ztsnr"
"""Empty tensors that say so in files of SDXL."""
_OF_ANOTHER_NOISE = ("edm_mean", "edm_vpred.sigma_max")
"""In files of SDXL's shape whose noise no settings of SDXL describe: Playground 2.5, CosXL."""
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
    if any(name in names for name in _OF_ANOTHER_NOISE):
        raise ModelError(f"{path} was trained on another noise than SDXL, as Playground 2.5 was", "give a plain SDXL")
    if channels != _LATENT_CHANNELS:
        raise ModelError(f"{path} is made for inpainting or the like", "give a checkpoint that renders from text alone")
    return family


def noise_of_file(path: Path, family: Family) -> tuple[dict[str, Any], int | None]:
    """What its family's settings do not say of a file: the scheduler's values, and the latent side it was made for,
    None where that is the family's."""
    names = read_header(path).tensors
    if _VELOCITY in names:
        zero = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"} if _ZERO_AT_THE_END in names else {}
        return {"prediction_type": "v_prediction", **zero}, None
    if family is SD2 and _LAST_NORM in names:
        norm = read_tensors(path, [_LAST_NORM])[_LAST_NORM].float()
        if float(norm.std(unbiased=False)) <= _SPREAD_OF_VELOCITY:
            return {"prediction_type": "epsilon"}, _BASE_SIDE
    return {}, None
