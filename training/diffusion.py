"""The micro Stable Diffusion: its parts, untrained, and its folder in diffusers' format.

It listens to exactly the micro CLIP's text tower, draws at 64 x 64 pixels through a small AutoencoderKL whose latents
are 8 x 8, and samples with DDIM.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import CLIPTextModel, CLIPTokenizer
from unrender.core.micro import CLIP_FOLDER
from unrender.core.micro.drawing import SIZE
from unrender.core.variation.checkpoint import diffusers_module

from .folders import TEXT_WIDTH

LATENT_CHANNELS, LATENT_SIZE = 16, SIZE // 8
_TOKENIZER_FILES = ("vocab.json", "merges.txt", "special_tokens_map.json", "tokenizer_config.json")
_PICTURE_CHANNELS = (16, 32, 64, 96)
_LATENT_WIDTHS = (96, 160)


def new_autoencoder() -> Any:
    """An AutoencoderKL."""
    levels = len(_PICTURE_CHANNELS)
    return diffusers_module().AutoencoderKL(
        sample_size=SIZE,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        block_out_channels=_PICTURE_CHANNELS,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=2,
        scaling_factor=1.0,  # the encoder gives its latents a deviation of 1
    )


def new_unet() -> Any:
    """A UNet2DConditionModel."""
    levels = len(_LATENT_WIDTHS)
    return diffusers_module().UNet2DConditionModel(
        sample_size=LATENT_SIZE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("CrossAttnDownBlock2D",) * levels,
        up_block_types=("CrossAttnUpBlock2D",) * levels,
        block_out_channels=_LATENT_WIDTHS,
        layers_per_block=1,
        attention_head_dim=4,  # for this kind of block the number of heads
        cross_attention_dim=TEXT_WIDTH,
        norm_num_groups=16,
    )


def new_scheduler() -> Any:
    """A DDIMScheduler. The noise goes up to a signal of zero, so that a picture's mean brightness is free (Lin et al.
    2024, sections 3.1 to 3.3)."""
    return diffusers_module().DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )


def text_encoder() -> tuple[Any, Any]:
    """The micro CLIP's own."""
    return CLIPTextModel.from_pretrained(CLIP_FOLDER).eval(), CLIPTokenizer.from_pretrained(CLIP_FOLDER)


def write_pipeline(folder: Path, autoencoder: Any, unet: Any) -> None:
    """Writes all of it in half precision."""
    encoder, tokenizer = text_encoder()
    pipeline = diffusers_module().StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=new_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    shutil.rmtree(folder, ignore_errors=True)
    pipeline.to(dtype=torch.float16).save_pretrained(folder)
    for config in (folder / "unet" / "config.json", folder / "vae" / "config.json"):
        values = json.loads(config.read_text("utf-8"))
        values.pop("_name_or_path", None)  # where this machine had it
        config.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    # the files that every transformers reads, whatever this one has written
    for file in (folder / "tokenizer").iterdir():
        file.unlink()
    for name in _TOKENIZER_FILES:
        shutil.copyfile(CLIP_FOLDER / name, folder / "tokenizer" / name)
