"""One CLIP, whatever it was loaded from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor, nn

from ..devices import pick_device, pick_dtype
from ..errors import ModelError
from ..progress import SILENT, Progress
from . import weights as tower_weights
from .preprocess import Preprocess
from .text_encoder import LibraryEncoder, TextEncoder, TowerEncoder, agrees_with_library
from .text_tower import TextTower
from .tokenizers import LibraryTokenizer, OpenClipTokenizer, Tokenizer, TransformersTokenizer

if TYPE_CHECKING:
    from ..hub import Hub

_IMAGES_AT_ONCE = 16


@dataclass(frozen=True)
class VisionTower:
    """encode: pixels [n, 3, height, width] -> features [n, width], not normalised.
    module: what moves between devices."""

    encode: Callable[[Tensor], Tensor]
    module: nn.Module


@dataclass(frozen=True)
class Placement:
    """Device and arithmetic of a model; moves: whether it has to be brought there."""

    device: torch.device
    dtype: torch.dtype
    moves: bool


class Clip:
    """A CLIP model's two encoders. Features are float32, normalised, on the model's device.

    Make one with `Clip.load`, `Clip.from_open_clip` or `Clip.from_transformers`.
    """

    def __init__(
        self,
        name: str,
        vision: VisionTower,
        preprocess: Callable[[Image.Image], Tensor],
        text: TextEncoder,
        logit_scale: float,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.name = name
        self.text = text
        self.logit_scale = logit_scale
        self.device = device
        self.dtype = dtype
        self._vision = vision
        self._preprocess = preprocess

    @classmethod
    def load(
        cls,
        name: str,
        device: str = "auto",
        precision: str = "auto",
        hub: Hub | None = None,
        progress: Progress = SILENT,
    ) -> Clip:
        """Loads a model by name: open_clip `name/tag`, hub id, folder, safetensors file, or "micro".

        Raises ModelError when the name is unknown or its files cannot be had, SettingsError for an absent device.
        """
        from .load import load_clip

        return load_clip(name, pick_device(device), precision, hub, progress)

    @classmethod
    def from_open_clip(
        cls,
        model: nn.Module,
        preprocess: Callable[[Image.Image], Tensor],
        tokenizer: Any,
        name: str = "open_clip model",
        device: str | None = None,
        precision: str | None = None,
    ) -> Clip:
        """From a loaded open_clip model, its evaluation transform and its tokenizer.

        The model stays the caller's: it is used in place, where it is and in its dtype unless told otherwise.
        """
        placement = _placement(model, device, precision)
        return cls._from_open_clip(model, preprocess, tokenizer, name, placement)

    @classmethod
    def from_transformers(
        cls,
        model: nn.Module,
        processor: Any,
        name: str = "transformers model",
        device: str | None = None,
        precision: str | None = None,
    ) -> Clip:
        """From a loaded transformers CLIPModel (or SiglipModel) and its processor.

        The model stays the caller's. The processor's numbers are used, with the project's own preprocessing.
        """
        image_processor = getattr(processor, "image_processor", processor)
        return cls._from_transformers_parts(
            model,
            processor.tokenizer,
            Preprocess.from_transformers(_image_settings(image_processor)),
            name,
            _placement(model, device, precision),
        )

    @classmethod
    def _from_open_clip(
        cls,
        model: nn.Module,
        preprocess: Callable[[Image.Image], Tensor],
        tokenizer: Any,
        name: str,
        placement: Placement,
    ) -> Clip:
        tokens: Tokenizer = LibraryTokenizer(tokenizer)
        weights = None
        if hasattr(tokenizer, "encoder"):
            tokens = OpenClipTokenizer(tokenizer)
            weights = tower_weights.from_open_clip(model, tokens.start_of_text, tokens.end_of_text)
        context = int(getattr(model, "context_length", 77))
        text = _text_side(model.eval(), weights, tokens, context, placement, name)
        return cls._assembled(name, model, _open_clip_vision(model), preprocess, text, placement)

    @classmethod
    def _from_transformers_parts(
        cls,
        model: nn.Module,
        tokenizer: Any,
        preprocess: Preprocess,
        name: str,
        placement: Placement,
    ) -> Clip:
        config: Any = model.config
        context = int(getattr(config.text_config, "max_position_embeddings", 77))
        if tokenizer.bos_token_id is None:
            tokens: Tokenizer = LibraryTokenizer(TransformersTokenizer(tokenizer, context).batch)
        else:
            tokens = TransformersTokenizer(tokenizer, context)
        weights = None
        if isinstance(tokens, TransformersTokenizer):
            weights = tower_weights.from_transformers(model, tokens.start_of_text, tokens.end_of_text)
        text = _text_side(model.eval(), weights, tokens, context, placement, name)
        return cls._assembled(name, model, _transformers_vision(model), preprocess, text, placement)

    @classmethod
    def _assembled(
        cls,
        name: str,
        model: nn.Module,
        vision: VisionTower,
        preprocess: Callable[[Image.Image], Tensor],
        text: TextEncoder,
        placement: Placement,
    ) -> Clip:
        if placement.moves:
            vision.module.to(placement.device, placement.dtype)
        return cls(name, vision, preprocess, text, _logit_scale(model), placement.device, placement.dtype)

    @torch.no_grad()
    def encode_images(self, images: Sequence[Image.Image]) -> Tensor:
        """RGB pictures -> [n, width]."""
        features = []
        for start in range(0, len(images), _IMAGES_AT_ONCE):
            pixels = torch.stack([self._preprocess(image) for image in images[start : start + _IMAGES_AT_ONCE]])
            features.append(self._vision.encode(pixels.to(self.device, self.dtype)).float())
        joined = torch.cat(features)
        return joined / joined.norm(dim=-1, keepdim=True)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts -> [n, width]; cut to the context length as the library does."""
        return self.text.encode(texts)

    @cached_property
    def fingerprint(self) -> str:
        """Identifies the text side: equal fingerprints give equal phrase tables."""
        return self.text.fingerprint()

    @property
    def uses_own_tower(self) -> bool:
        """False where the library's text encoder had to be used: slower searches, same answers."""
        return isinstance(self.text, TowerEncoder)


def _text_side(
    model: Any,
    weights: tower_weights.TowerWeights | None,
    tokenizer: Tokenizer,
    context_length: int,
    placement: Placement,
    name: str,
) -> TextEncoder:
    """The own tower, verified against the library where the model is now and then brought to its placement;
    the library's encoder where there is no tower or it disagrees."""
    encode_batch = _library_text(model)
    here = next(model.parameters()).device
    library = LibraryEncoder(encode_batch, tokenizer, context_length, here, name)
    if weights is not None and agrees_with_library(weights, library, tokenizer):
        return TowerEncoder(TextTower(weights.to(placement.device, placement.dtype)), tokenizer)
    model.to(placement.device)
    return LibraryEncoder(encode_batch, tokenizer, context_length, placement.device, name)


def _library_text(model: Any) -> Callable[[Tensor], Tensor]:
    if hasattr(model, "encode_text"):
        return model.encode_text

    def encode(ids: Tensor) -> Tensor:
        out = model.get_text_features(input_ids=ids)
        return out if isinstance(out, Tensor) else out.pooler_output

    return encode


def _open_clip_vision(model: Any) -> VisionTower:
    if type(model).__name__ in ("CLIP", "CustomTextCLIP"):
        return VisionTower(model.visual, model.visual)
    return VisionTower(model.encode_image, model)


def _transformers_vision(model: Any) -> VisionTower:
    """Holds the picture side alone, so that the rest of a loaded model can be freed."""
    if not hasattr(model, "vision_model"):
        raise ModelError(f"A {type(model).__name__} has no picture encoder; give a CLIPModel or SiglipModel.")
    tower = model.vision_model
    if not hasattr(model, "visual_projection"):
        return VisionTower(lambda pixels: tower(pixel_values=pixels).pooler_output, tower)
    projection = model.visual_projection
    return VisionTower(
        lambda pixels: projection(tower(pixel_values=pixels).pooler_output),
        nn.ModuleList([tower, projection]),
    )


def _placement(model: nn.Module, device: str | None, precision: str | None) -> Placement:
    """Where the caller wants the model; where it is already, unless told otherwise."""
    # normalisation layers may stay float32 in a half-precision model: convolutions tell its arithmetic
    main = next((p for p in model.parameters() if p.ndim == 4), next(model.parameters()))
    wanted = main.device if device is None else pick_device(device)
    dtype = main.dtype if precision is None else pick_dtype(precision, wanted)
    return Placement(wanted, dtype, moves=device is not None or precision is not None)


def _image_settings(image_processor: Any) -> Mapping[str, Any]:
    return image_processor.to_dict()


def _logit_scale(model: Any) -> float:
    """The factor on cosine similarities before a softmax, 100 for most trained CLIPs."""
    value = getattr(model, "logit_scale", None)
    return 100.0 if value is None else float(value.detach().float().exp().reshape(-1)[0])
