"""Florence-2 as Microsoft published it, and those who trained it further, PromptGen among them: with program code of
its own, which is not run. transformers' own class takes the weights, under other names, where all the shapes agree.

How the names and settings correspond: transformers' convert_florence2_original_pytorch_to_hf.py, of 2025.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import ModelError
from ...foreign import few, library_reads, read_json
from ...hub.names import check_weights
from ...pretrained import WHOLE_AGAIN, check_config, checked_folder
from ...published import CONFIG, WEIGHTS_INDEX
from ...transformers_access import LOCAL_WITHOUT_CODE, transformers_attribute, without_own_code

FLORENCE = "florence2"
_IMAGE = "<image>"
_PARTS = (
    (r"^vision_tower\.convs\.(\d+)\.proj\.", r"model.vision_tower.convs.\1.conv."),
    (r"^(vision_tower|image_pos_embed|image_proj_norm|visual_temporal_embed)\b", r"model.\1"),
    (r"^image_projection$", "model.multi_modal_projector.image_projection.weight"),
    (r"^model\.image_pos_embed\.", "model.multi_modal_projector.image_position_embed."),
    (r"^model\.(image_proj_norm|visual_temporal_embed)\.", r"model.multi_modal_projector.\1."),
    (r"\.(conv[12])\.fn\.dw\.", r".\1."),
    (r"\.(window_attn|channel_attn)\.norm\.", ".norm1."),
    (r"\.(window_attn|channel_attn)\.fn\.", r".\1."),
    (r"\.ffn\.norm\.", ".norm2."),
    (r"\.ffn\.fn\.net\.", ".ffn."),
    (r"^language_model\.model\.", "model.language_model."),
    (r"^language_model\.lm_head\.", "lm_head."),
)
_SHARED = "model.language_model.shared.weight"
_COPIES = re.compile(r"^(lm_head|model\.language_model\.(?:en|de)coder\.embed_tokens)\.weight$")
_NOT_READ = "language_model.final_logits_bias"
"""Zeros, by which no word becomes likelier."""
_VISION = (
    *("depths", "patch_size", "patch_stride", "patch_padding", "patch_prenorm", "num_heads", "num_groups"),
    *("window_size", "projection_dim", "drop_path_rate"),
)


def is_original(config: Mapping[str, Any]) -> bool:
    vision = config.get("vision_config")
    return config.get("model_type") == FLORENCE and isinstance(vision, dict) and "dim_embed" in vision


def load_original(name: str, folder: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    """The model on the CPU, and its tokenizer, which knows the picture's place. Raises ModelError, ImportError."""
    from safetensors.torch import load_file

    tensors = checked_folder(folder)
    check_config(folder, tensors)
    config = read_json(folder / CONFIG)
    problem = f"{name} cannot be loaded from {folder}"
    with without_own_code(), library_reads(problem, WHOLE_AGAIN):
        tokenizer = _tokenizer(folder)
        with torch.device("meta"):
            model = transformers_attribute("Florence2ForConditionalGeneration")(_config(config, tokenizer))
        _check_shapes(folder, model, {renamed(each): tuple(stored.shape) for each, stored in tensors.items()})
        weights: dict[str, Tensor] = {}
        for file in check_weights(folder):
            weights.update(_named(load_file(folder / file), dtype) if file != WEIGHTS_INDEX else {})
        model.load_state_dict(weights, strict=False, assign=True)
        model.tie_weights()
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        if (folder / "generation_config.json").is_file():
            model.generation_config = transformers_attribute("GenerationConfig").from_pretrained(str(folder))
    return model, tokenizer


def renamed(name: str) -> str:
    for pattern, other in _PARTS:
        name = re.sub(pattern, other, name)
    return name


def _named(stored: Mapping[str, Tensor], dtype: torch.dtype) -> dict[str, Tensor]:
    """Under transformers' names. The projection is transposed there."""
    found = {renamed(name): value for name, value in stored.items() if name != _NOT_READ}
    turned = {
        name: value.T.contiguous() if name.endswith("image_projection.weight") else value
        for name, value in found.items()
    }
    return {name: value.to(dtype) for name, value in turned.items() if not _COPIES.match(name)}


def _check_shapes(folder: Path, model: Any, stored: Mapping[str, tuple[int, ...]]) -> None:
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items() if not _COPIES.match(name)}
    lacking = sorted(wanted.keys() - stored.keys())
    if lacking:
        raise ModelError(f"{folder} lacks weights of Florence-2: {few(lacking)}", WHOLE_AGAIN)
    turned = "model.multi_modal_projector.image_projection.weight"
    others = [name for name, shape in wanted.items() if stored[name] != (shape[::-1] if name == turned else shape)]
    if others:
        raise ModelError(
            f"{folder} holds weights of other shapes than its config.json says: {few(others)}", WHOLE_AGAIN
        )


def _config(config: Mapping[str, Any], tokenizer: Any) -> Any:
    vision, text = config["vision_config"], dict(config.get("text_config") or {})
    for key in ("auto_map", "architectures", "_attn_implementation", "transformers_version"):
        text.pop(key, None)
    places, times = vision.get("image_pos_embed") or {}, vision.get("visual_temporal_embedding") or {}
    return transformers_attribute("Florence2Config")(
        vision_config={
            **{key: vision[key] for key in _VISION if key in vision},
            "embed_dim": vision["dim_embed"],
            "max_position_embeddings": places.get("max_pos_embeddings", 50),
            "max_temporal_embeddings": times.get("max_temporal_embeddings", 100),
        },
        text_config={**text, "model_type": "bart"},
        image_token_id=tokenizer.convert_tokens_to_ids(_IMAGE),
        **{key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id") if key in config},
    )


def _tokenizer(folder: Path) -> Any:
    from tokenizers import AddedToken

    tokenizer = transformers_attribute("AutoTokenizer").from_pretrained(str(folder), **LOCAL_WITHOUT_CODE)
    tokenizer.add_tokens([AddedToken(_IMAGE, normalized=False, special=True)], special_tokens=True)
    tokenizer.image_token, tokenizer.image_token_id = _IMAGE, tokenizer.convert_tokens_to_ids(_IMAGE)
    return tokenizer


def original_processor(images: Any, tokenizer: Any) -> Any:
    return transformers_attribute("Florence2Processor")(images, tokenizer, post_processor_config={"pure_text": {}})
