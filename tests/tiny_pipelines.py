"""Random pipelines of Stable Diffusion 1, 2 and XL: real widths where text enters, little of everything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

FAMILIES = ("sd15", "sd2", "sdxl")
START, END = 49406, 49407


def tiny_pipeline(family: str, tokenizers: Path) -> Any:
    """tokenizers: a folder with CLIP's vocabulary (`conftest.write_clip_tokenizer`)."""
    import diffusers
    from transformers import CLIPTokenizer

    torch.manual_seed(0)
    tokenizer = CLIPTokenizer.from_pretrained(tokenizers)
    parts = {
        "vae": _autoencoder(),
        "unet": _unet({"sd15": 768, "sd2": 1024, "sdxl": 2048}[family], family == "sdxl"),
        "scheduler": diffusers.DDIMScheduler(clip_sample=False, steps_offset=1, set_alpha_to_one=False),
        "tokenizer": tokenizer,
    }
    if family == "sdxl":
        second = CLIPTokenizer.from_pretrained(tokenizers, pad_token="!")
        return diffusers.StableDiffusionXLPipeline(
            **parts,
            text_encoder=_text_encoder(768, 2, 12, "quick_gelu"),
            text_encoder_2=_text_encoder(1280, 2, 20, "gelu", projection=1280),
            tokenizer_2=second,
            force_zeros_for_empty_prompt=True,
            add_watermarker=False,
        )
    if family == "sd2":
        parts["tokenizer"] = CLIPTokenizer.from_pretrained(tokenizers, pad_token="!")
        encoder = _text_encoder(1024, 23, 16, "gelu")
    else:
        encoder = _text_encoder(768, 2, 12, "quick_gelu")
    return diffusers.StableDiffusionPipeline(
        **parts,
        text_encoder=encoder,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _text_encoder(width: int, layers: int, heads: int, activation: str, projection: int = 0) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_act=activation,
        projection_dim=projection or 512,
        bos_token_id=START,
        eos_token_id=END,
    )
    model = (CLIPTextModelWithProjection if projection else CLIPTextModel)(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(std=0.1)
    return model


def _autoencoder() -> Any:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(8, 8, 8, 8),
        norm_num_groups=4,
        sample_size=64,
    ).eval()


def _unet(width: int, sdxl: bool) -> Any:
    from diffusers import UNet2DConditionModel

    further = (
        {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": 1280 + 6 * 8,
        }
        if sdxl
        else {}
    )
    return UNet2DConditionModel(
        sample_size=8,
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
        block_out_channels=(32,),
        layers_per_block=1,
        attention_head_dim=4,
        cross_attention_dim=width,
        norm_num_groups=8,
        **further,
    ).eval()
