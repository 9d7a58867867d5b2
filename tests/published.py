"""Settings repositories as they lie on the hub: the indexes, the names of the files, and what the configurations say
besides the sizes of the models. The models in them are tiny.

What the indexes and the configurations say was read in copies of the published files that webuis carry
(`backend/huggingface` of Forge, October 2025).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_CLIP_TEXT = ["transformers", "CLIPTextModel"]
_COMMON = {
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
INDEXES: dict[str, dict[str, Any]] = {
    "sd15": {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.6.0",
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": _CLIP_TEXT,
        **_COMMON,
    },
    "sd2": {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.8.0",
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": _CLIP_TEXT,
        **_COMMON,
    },
    "sdxl": {
        "_class_name": "StableDiffusionXLPipeline",
        "_diffusers_version": "0.19.0.dev0",
        "force_zeros_for_empty_prompt": True,
        "add_watermarker": None,
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "text_encoder": _CLIP_TEXT,
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        **_COMMON,
    },
}
"""By family."""

_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "trained_betas": None}
_STEPS = {"num_train_timesteps": 1000, "set_alpha_to_one": False, "skip_prk_steps": True, "steps_offset": 1}
_NOISE = {**_BETAS, **_STEPS, "clip_sample": False}
SCHEDULERS: dict[str, dict[str, Any]] = {
    "sd15": {"_class_name": "PNDMScheduler", "_diffusers_version": "0.6.0", **_NOISE},
    "sd2": {
        "_class_name": "DDIMScheduler",
        "_diffusers_version": "0.8.0",
        **_NOISE,
        "prediction_type": "v_prediction",
    },
    "sdxl": {
        "_class_name": "EulerDiscreteScheduler",
        "_diffusers_version": "0.19.0.dev0",
        **_NOISE,
        "prediction_type": "epsilon",
        "interpolation_type": "linear",
        "sample_max_value": 1.0,
        "timestep_spacing": "leading",
        "use_karras_sigmas": False,
    },
}
_PICTURES = {
    "crop_size": 224,
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "size": 224,
}


def _tokenizer(folder: Path, padding: str, told_padding: str) -> dict[str, bytes]:
    """padding: of the special tokens, told_padding: of the configuration, which SD2's differ in."""

    def token(content: str) -> dict[str, Any]:
        return {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}

    special = {"bos_token": token("<|startoftext|>"), "eos_token": token("<|endoftext|>")}
    special |= {"unk_token": token("<|endoftext|>")}
    described = {name: {"__type": "AddedToken", **each} for name, each in special.items()}
    config = {"add_prefix_space": False, "do_lower_case": True, "errors": "replace", "model_max_length": 77}
    config |= {"tokenizer_class": "CLIPTokenizer", "pad_token": told_padding, **described}
    return {
        "vocab.json": (folder / "vocab.json").read_bytes(),
        "merges.txt": (folder / "merges.txt").read_bytes(),
        "special_tokens_map.json": json.dumps({**special, "pad_token": padding}).encode(),
        "tokenizer_config.json": json.dumps(config).encode(),
    }


def settings_repository(pipeline: Any, family: str, tokenizers: Path, scratch: Path) -> dict[str, bytes]:
    """All files of a family's settings repository. pipeline: the tiny one whose sizes its configurations give.
    tokenizers: a folder with CLIP's words. The weights are no weights: nobody who reads a single file asks for them.
    """
    pipeline.save_pretrained(scratch)
    files = {"model_index.json": json.dumps(INDEXES[family]).encode(), "README.md": b"a card"}
    files["scheduler/scheduler_config.json"] = json.dumps(SCHEDULERS[family]).encode()
    for part in ("unet", "vae", "text_encoder", "text_encoder_2"):
        if not (scratch / part).is_dir():
            continue
        config = json.loads((scratch / part / "config.json").read_text())
        config.pop("dtype", None)
        if part.startswith("text"):
            config |= {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 1, "model_type": "clip_text_model"}
        weights = "model" if part.startswith("text") else "diffusion_pytorch_model"
        files[f"{part}/config.json"] = json.dumps(config).encode()
        files |= {f"{part}/{weights}{half}.safetensors": b"large" for half in ("", ".fp16")}
    second = {"sd15": ("<|endoftext|>", "<|endoftext|>"), "sd2": ("!", "<|endoftext|>"), "sdxl": ("!", "!")}[family]
    paddings = {"tokenizer": ("<|endoftext|>", "<|endoftext|>") if family == "sdxl" else second, "tokenizer_2": second}
    for part in paddings:
        if part in INDEXES[family]:
            files |= {f"{part}/{name}": each for name, each in _tokenizer(tokenizers, *paddings[part]).items()}
    if "feature_extractor" in INDEXES[family]:
        files["feature_extractor/preprocessor_config.json"] = json.dumps(_PICTURES).encode()
    if family == "sd15":
        files["safety_checker/config.json"] = json.dumps({"architectures": ["StableDiffusionSafetyChecker"]}).encode()
        files |= {"safety_checker/model.safetensors": b"large", "v1-5-pruned.safetensors": b"larger"}
    return files
