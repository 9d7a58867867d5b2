"""What a bare weights file says about its architecture, and models built from open_clip's configurations."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..cures import Give, Install
from ..errors import MissingPackageError, ModelError
from ..foreign import Unreadable, few, shown

# heads are not visible in the weights: 64 wide, but for the vision towers of ViT-H (80), g (88) and bigG (104)
_HEAD_WIDTH = 64
_MOST_LAYERS, _LARGEST_SIZE = 200, 1_000_000
_SHAPED = {
    **{"visual.conv1.weight": 4, "visual.positional_embedding": 2, "positional_embedding": 2},
    **{"token_embedding.weight": 2, "ln_final.weight": 1, "text_projection": 2},
}
"""What tells a ViT CLIP's sizes, and how many dimensions each has."""
_VISION_HEADS = {1280: 16, 1408: 16, 1664: 16}


def names_quick_gelu(stem: str) -> bool:
    """Whether a file's name tells that its weights were trained with quick GELU, which their shapes do not show."""
    stem = stem.casefold()
    return any(part in stem for part in ("openai", "quickgelu", "clip-vit-base-patch", "clip-vit-large-patch"))


def open_clip_config(architecture: str) -> dict[str, Any]:
    """open_clip's configuration of an architecture, the caller's to change."""
    config = _open_clip().get_model_config(architecture)
    if config is None:
        newer = Install(("open_clip_torch",), "--upgrade")
        raise ModelError(f"The installed open_clip does not know {architecture}", newer)
    return dict(config)


def checked_open_clip(values: Mapping[str, Any]) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """The model's configuration, the caller's to change, and how pictures are prepared, of an open_clip_config.json.

    Raises Unreadable where it is none, or of sizes that no model has; ModelError where it wants something of a hub that
    open_clip itself does not name."""
    model, settings = values.get("model_cfg"), values.get("preprocess_cfg") or {}
    text, vision = (model.get(name) for name in ("text_cfg", "vision_cfg")) if isinstance(model, dict) else (None, None)
    if not isinstance(model, dict) or not isinstance(settings, dict):
        raise Unreadable("it holds no model_cfg")
    if not isinstance(text, dict) or not isinstance(vision, dict):
        raise Unreadable("it holds no text_cfg and vision_cfg")
    for part in (model, text, vision, model.get("multimodal_cfg") or {}):
        for key, value in part.items() if isinstance(part, dict) else ():
            numbers = value if isinstance(value, list) else [value]
            most = _MOST_LAYERS if key in ("layers", "depth") else _LARGEST_SIZE
            if any(isinstance(number, int | float) and not abs(number) <= most for number in numbers):
                raise Unreadable(f"its {shown(key)} is {shown(str(value))}")
    _check_names_of_others(text, vision)
    return dict(model), settings


def _check_names_of_others(text: Mapping[str, Any], vision: Mapping[str, Any]) -> None:
    """What a configuration names, open_clip would get from a hub, whoever owns that name there."""
    timm = vision.get("timm_model_name")
    if timm is not None and not (isinstance(timm, str) and re.fullmatch(r"[\w.]+", timm)):
        raise Unreadable("its timm_model_name is none")
    wanted = [text[key] for key in ("hf_tokenizer_name", "hf_model_name") if text.get(key)]
    if not wanted:
        return
    open_clip = _open_clip()
    texts = [open_clip.get_model_config(name)["text_cfg"] for name in open_clip.list_models()]
    known = {each.get(key) for each in texts for key in ("hf_tokenizer_name", "hf_model_name")}
    for name in wanted:
        if name not in known:
            raise Unreadable(f"it wants {shown(str(name))} of a hub, which open_clip does not know")


def build_open_clip(config: dict[str, Any], quick_gelu: bool) -> Any:
    """An open_clip model whose weights are still to come (on the meta device), or random where the architecture
    computes more than weights while it is built; nothing is downloaded."""
    with torch.device("meta"):
        model = _new_open_clip(config, quick_gelu)
    for name, buffer in model.named_buffers():
        owner, _, last = name.rpartition(".")
        if last == "attn_mask":
            # causal by definition; should it ever not be, the text tower's comparison with the library fails
            mask = torch.full(buffer.shape, float("-inf")).triu_(1)
            model.get_submodule(owner).register_buffer(last, mask, persistent=False)
        elif name not in model.state_dict():
            return _new_open_clip(config, quick_gelu)
    return model


def _new_open_clip(config: dict[str, Any], quick_gelu: bool) -> Any:
    open_clip = _open_clip()
    config = {key: value for key, value in config.items() if not key.startswith("_")}
    text, vision = dict(config.pop("text_cfg")), dict(config.pop("vision_cfg"))
    own_text_module = bool(config.pop("custom_text", False)) or "hf_model_name" in text
    if "hf_model_name" in text:
        text["hf_model_pretrained"] = False
    if "timm_model_name" in vision:
        vision["timm_model_pretrained"] = False
    kind: Any = open_clip.CustomTextCLIP if own_text_module else open_clip.CLIP
    if "multimodal_cfg" in config:
        kind = open_clip.CoCa
    return kind(vision_cfg=vision, text_cfg=text, quick_gelu=quick_gelu, **config)


def fit_open_clip_state(model: Any, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """The state with the text tower's keys where this model has them."""
    if hasattr(model, "text") and not any(key.startswith("text.") for key in state):
        from open_clip.model import convert_to_custom_text_state_dict

        return convert_to_custom_text_state_dict(dict(state))
    return state


_TOKENIZER_OPTIONS = ("clean", "strip_sep_token", "language", "tokenizer_mode")
"""What a configuration may set of a tokenizer: how words are cleaned, not where it comes from."""


def open_clip_tokenizer(architecture: str, config: Mapping[str, Any]) -> Any:
    """Where the configuration names a tokenizer of transformers, that is a folder on this disk."""
    text = config["text_cfg"]
    if not text.get("hf_tokenizer_name"):
        return _open_clip().get_tokenizer(architecture or "ViT-B-32")
    from open_clip.tokenizer import HFTokenizer

    takes = inspect.signature(HFTokenizer).parameters
    options: dict[str, Any] = {"trust_remote_code": False, "local_files_only": True} if "kwargs" in takes else {}
    named = {**(text.get("tokenizer_kwargs") or {}), "tokenizer_mode": text.get("tokenizer_mode")}
    options |= {key: named[key] for key in _TOKENIZER_OPTIONS if named.get(key) is not None and key in takes}
    return HFTokenizer(text["hf_tokenizer_name"], context_length=text.get("context_length", 77), **options)


def match_open_clip(state: Mapping[str, Tensor], path: Path) -> str:
    """The open_clip architecture whose shapes the weights have; ModelError when none has."""
    open_clip = _open_clip()
    found = _open_clip_shape(state)
    if found is None and (alone := _one_side(state)):
        raise ModelError(
            f"{path} holds only the {alone} encoder of a CLIP", "give a full CLIP model, not a single encoder"
        )
    for name in open_clip.list_models():
        config = open_clip.get_model_config(name)
        if found is not None and found == _config_shape(config):
            return name
    raise ModelError(
        f"{path} has the shapes of no architecture open_clip knows",
        "put its open_clip_config.json beside it, with the file named open_clip_model.safetensors",
    )


def transformers_config(state: Mapping[str, Tensor], quick_gelu: bool, source: Path) -> dict[str, Any]:
    """A CLIPConfig's values from the weights' shapes. Raises ModelError where not all of them are there.

    Weights of hub models in this layout are mostly OpenAI's own, hence quick GELU for their two shapes and wherever the
    file's name says so; GELU otherwise.
    """
    _check_sides(state, source)
    text = _tower_values(state, "text_model", "embeddings.token_embedding.weight")
    vision = _tower_values(state, "vision_model", "embeddings.class_embedding")
    patch = state["vision_model.embeddings.patch_embedding.weight"].shape[-1]
    positions = state["vision_model.embeddings.position_embedding.weight"].shape[0] - 1
    vision.update(patch_size=patch, image_size=patch * round(positions**0.5))
    vision["num_attention_heads"] = _VISION_HEADS.get(vision["hidden_size"], vision["num_attention_heads"])
    token_count = state["text_model.embeddings.token_embedding.weight"].shape[0]
    text.update(vocab_size=token_count, bos_token_id=token_count - 2, eos_token_id=token_count - 1)
    text["max_position_embeddings"] = state["text_model.embeddings.position_embedding.weight"].shape[0]
    for values in (text, vision):
        values["hidden_act"] = "quick_gelu" if quick_gelu else "gelu"
    return {
        "text_config": text,
        "vision_config": vision,
        "projection_dim": state["text_projection.weight"].shape[0],
    }


def _check_sides(state: Mapping[str, Tensor], source: Path) -> None:
    wanted: dict[str, int] = {"text_projection.weight": 2, "vision_model.embeddings.patch_embedding.weight": 4}
    for tower, embedding in (("text_model", "token_embedding.weight"), ("vision_model", "class_embedding")):
        wanted[f"{tower}.embeddings.{embedding}"] = 1 if embedding == "class_embedding" else 2
        wanted[f"{tower}.embeddings.position_embedding.weight"] = 2
        wanted[f"{tower}.encoder.layers.0.mlp.fc1.weight"] = 2
    lacking = [name for name in wanted if name not in state]
    if lacking:
        raise ModelError(
            f"{source} holds no whole CLIP: it lacks {few(lacking)}",
            "give a full CLIP model, not a checkpoint or a single encoder",
        )
    odd = [name for name, ndim in wanted.items() if state[name].ndim != ndim or not state[name].numel()]
    if odd:
        raise ModelError(f"{source} has {few(odd)} in a shape that no CLIP has", "download it again")


def _one_side(state: Mapping[str, Tensor]) -> str:
    """Which side there is where the other is not, by open_clip's names; "" for both."""
    has_text = any(key.startswith(("transformer.", "token_embedding.", "text.")) for key in state)
    has_picture = any(key.startswith("visual.") for key in state)
    return "" if has_text == has_picture else "text" if has_text else "picture"


def _tower_values(state: Mapping[str, Tensor], tower: str, width_key: str) -> dict[str, Any]:
    width = state[f"{tower}.{width_key}"].shape[-1]
    mlp = state[f"{tower}.encoder.layers.0.mlp.fc1.weight"].shape[0]
    return {
        "hidden_size": width,
        "intermediate_size": mlp,
        "num_attention_heads": max(1, width // _HEAD_WIDTH),
        "num_hidden_layers": _count(state, f"{tower}.encoder.layers."),
    }


def _open_clip_shape(state: Mapping[str, Tensor]) -> tuple[int, ...] | None:
    """Of a ViT CLIP: joint width, vision width, vision layers, patch, image side, text width, text layers, context,
    vocabulary."""
    shapes = {name: tensor.ndim for name, tensor in state.items()}
    if any(shapes.get(name) != ndim for name, ndim in _SHAPED.items()):
        return None
    conv = state["visual.conv1.weight"]
    side = round((state["visual.positional_embedding"].shape[0] - 1) ** 0.5) * conv.shape[-1]
    return (
        state["text_projection"].shape[1],
        conv.shape[0],
        _count(state, "visual.transformer.resblocks."),
        conv.shape[-1],
        side,
        state["ln_final.weight"].shape[0],
        _count(state, "transformer.resblocks."),
        state["positional_embedding"].shape[0],
        state["token_embedding.weight"].shape[0],
    )


def _config_shape(config: Mapping[str, Any]) -> tuple[int, ...] | None:
    vision, text = config["vision_cfg"], config["text_cfg"]
    if "timm_model_name" in vision or "hf_model_name" in text or config.get("custom_text"):
        return None
    if isinstance(vision.get("layers", 12), list) or "patch_size" not in vision:
        return None
    return (
        config["embed_dim"],
        vision.get("width", 768),
        vision.get("layers", 12),
        vision["patch_size"],
        vision.get("image_size", 224),
        text.get("width", 512),
        text.get("layers", 12),
        text.get("context_length", 77),
        text.get("vocab_size", 49408),
    )


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    numbers = [key[len(prefix) :].partition(".")[0] for key in state if key.startswith(prefix)]
    return 1 + max((int(number) for number in numbers if re.fullmatch(r"\d{1,4}", number, re.ASCII)), default=-1)


def _open_clip() -> Any:
    try:
        import open_clip
    except (ImportError, RuntimeError, OSError) as error:
        raise MissingPackageError(
            f"open_clip cannot be imported ({error})",
            Install(("open_clip_torch", "torchvision")),
            Give("clip", "the model's hub id in transformers format"),
        ) from error
    return open_clip
