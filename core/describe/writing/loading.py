"""From a folder in transformers format to a captioner in memory. Only safetensors are read, and no code but ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ...cures import Give, Install
from ...errors import MissingPackageError, ModelError
from ...foreign import Unreadable, first_line, library_reads, read_json
from ...hub.names import check_weights
from ...pretrained import WHOLE_AGAIN, load_whole
from ...settings import Quantization
from ...transformers_access import (
    LOCAL_WITHOUT_CODE,
    quiet_transformers,
    transformers_attribute,
    transformers_version,
    without_own_code,
)
from .classes import check_class, read_config
from .florence_original import is_original, load_original, original_processor
from .models import CaptionModel
from .quantized import quantizing
from .ways import model_for

_VOCABULARIES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.bpe.model",
)


def load_model(
    name: str,
    folder: Path,
    dtype: torch.dtype,
    system: str = "",
    quantization: Quantization = "none",
    device: torch.device | None = None,
) -> CaptionModel:
    """A captioner on the CPU, its weights in `dtype`; on the device, where they are quantized. system: see `model_for`.
    Raises ModelError or MissingPackageError."""
    config = read_config(folder)
    model_class = check_class(name, config)
    check_weights(folder)
    with quiet_transformers():
        if is_original(config):
            return _load_florence(name, folder, dtype)
        quantized = {} if device is None or quantization == "none" else quantizing(quantization, device, dtype)
        model = _load_weights(name, folder, model_class, dtype, quantized)
        processor = _load_processor(name, folder)
        if config.get("model_type") == "blip-2":
            _prepare_blip2(model, processor)
    asked = model_for(name, model.eval().requires_grad_(False), processor, dtype, system)
    if quantized and device is not None:
        asked.fix(device)
    return asked


def _load_florence(name: str, folder: Path, dtype: torch.dtype) -> CaptionModel:
    problem = f"The image settings of {name} cannot be read from {folder}"
    try:
        model, tokenizer = load_original(name, folder, dtype)
        with without_own_code(), library_reads(problem, WHOLE_AGAIN):
            processor = original_processor(_images(folder), tokenizer)
            _process_with_pillow(processor, folder)
    except ImportError as error:
        raise _missing_package(name, error) from error
    return model_for(name, model.eval().requires_grad_(False), processor, dtype)


def _load_weights(name: str, folder: Path, model_class: Any, dtype: torch.dtype, options: dict[str, Any]) -> Any:
    of_type = {"dtype" if transformers_version() >= (4, 56) else "torch_dtype": dtype, **options}
    problem = f"{name} cannot be loaded from {folder}"
    try:
        return load_whole(model_class, folder, problem, "remove the folder and get the model again", **of_type)
    except ImportError as error:
        raise _missing_package(name, error) from error


def _load_processor(name: str, folder: Path) -> Any:
    if not any((folder / vocabulary).is_file() for vocabulary in _VOCABULARIES):
        raise ModelError(f"{folder} holds no tokenizer ({', '.join(_VOCABULARIES)})", WHOLE_AGAIN)
    problem = f"The tokenizer or image settings of {name} cannot be read from {folder}"
    try:
        with without_own_code(), library_reads(problem, WHOLE_AGAIN):
            processor = _any_processor(folder)
            if hasattr(processor, "tokenizer") and hasattr(processor, "image_processor"):
                _process_with_pillow(processor, folder)
                return processor
    except ImportError as error:
        raise _missing_package(name, error) from error
    raise ModelError(f"{folder} holds no processor for both pictures and text", WHOLE_AGAIN)


def _any_processor(folder: Path) -> Any:
    auto = transformers_attribute("AutoProcessor")
    try:
        processor = auto.from_pretrained(str(folder), **LOCAL_WITHOUT_CODE)
        if hasattr(processor, "tokenizer"):
            return processor
    except ImportError:
        raise
    except Exception:  # the tokenizers library raises just that for a format it is too old for
        if transformers_version() >= (5, 0):
            raise
    return _assembled_processor(folder)


def _assembled_processor(folder: Path) -> Any:
    """A processor from its parts, for folders that a newer transformers wrote, and for models without a class."""
    settings, described = _image_settings(folder), _json(folder / "processor_config.json") or {}
    images, tokenizer = _images(folder), _tokenizer(folder)
    named = settings.get("processor_class") or described.get("processor_class")
    processor_class = transformers_attribute(str(named)) if named else None
    return processor_class(images, tokenizer) if processor_class else _Pair(images, tokenizer)


def _image_settings(folder: Path) -> dict[str, Any]:
    described = _json(folder / "processor_config.json") or {}
    return _json(folder / "preprocessor_config.json") or described.get("image_processor") or {}


def _images(folder: Path) -> Any:
    settings = _image_settings(folder)
    kind = str(settings.get("image_processor_type") or settings.get("feature_extractor_type") or "")
    kind = kind.removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")
    image_class = transformers_attribute(kind) if kind else None
    if image_class is None:
        raise ValueError(f"image processor {kind or 'not named'}")
    return image_class.from_dict(settings)


class _Pair:
    """An image processor and a tokenizer that no class of transformers joins."""

    def __init__(self, image_processor: Any, tokenizer: Any) -> None:
        self.image_processor = image_processor
        self.tokenizer = tokenizer

    def __call__(self, images: Any, text: Any = None, return_tensors: str = "pt") -> dict[str, Any]:
        inputs = dict(self.image_processor(images, return_tensors=return_tensors))
        if text is not None:
            inputs["decoder_input_ids"] = self.tokenizer(text, return_tensors=return_tensors).input_ids
        return inputs


def _tokenizer(folder: Path) -> Any:
    auto = transformers_attribute("AutoTokenizer")
    try:
        return auto.from_pretrained(str(folder), **LOCAL_WITHOUT_CODE)
    except Exception:  # noqa: BLE001 - see _any_processor
        return auto.from_pretrained(str(folder), **LOCAL_WITHOUT_CODE, use_fast=False)


def _process_with_pillow(processor: Any, folder: Path) -> None:
    """Prefers Pillow's image processing to torchvision's, so that pictures look the same on every machine."""
    kind = type(processor.image_processor).__name__
    if kind.endswith("Pil") or (transformers_version() < (5, 0) and not kind.endswith("Fast")):
        return
    choice: dict[str, Any] = {"backend": "pil"} if transformers_version() >= (5, 0) else {"use_fast": False}
    auto = transformers_attribute("AutoImageProcessor")
    try:
        processor.image_processor = auto.from_pretrained(str(folder), **LOCAL_WITHOUT_CODE, **choice)
    except (ImportError, OSError, ValueError):
        return  # some exist only for torchvision, which then is there


def _prepare_blip2(model: Any, processor: Any) -> None:
    """Newer transformers mark the picture's place in the text by a token that older folders do not have."""
    if transformers_version() < (4, 47):  # 4.46 knows the token, and fails by it where a picture comes without text
        model.config.image_token_index = processor.num_query_tokens = None
        return
    if getattr(model.config, "image_token_index", None) is not None:
        return
    from tokenizers import AddedToken

    processor.tokenizer.add_tokens([AddedToken("<image>", normalized=False, special=True)], special_tokens=True)
    processor.num_query_tokens = model.config.num_query_tokens
    model.resize_token_embeddings(len(processor.tokenizer), mean_resizing=False)
    model.config.image_token_index = processor.tokenizer.convert_tokens_to_ids("<image>")


def _missing_package(name: str, error: BaseException) -> MissingPackageError:
    package = next((word for word in ("torchvision", "sentencepiece", "num2words") if word in str(error)), None)
    if package is None:
        return MissingPackageError(
            f"{name} needs a package that cannot be imported ({first_line(error)})", "install it"
        )
    return MissingPackageError(f"{name} needs {package}", Install((package,)), Give("captioner"))


def _json(path: Path) -> dict[str, Any] | None:
    try:
        return read_json(path)
    except Unreadable:
        return None
