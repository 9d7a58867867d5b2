"""DINOv2 as a judge of pictures: trained on pictures alone, so that it shares no fault with any CLIP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..cures import Choose, Give, Install
from ..devices import pick_device
from ..errors import ModelError
from ..foreign import existing
from ..hub import Hub
from ..pretrained import WHOLE_AGAIN, load_whole
from ..progress import SILENT, Progress
from ..transformers_access import quiet_transformers, transformers_attribute
from .asked import check_dino

WITHOUT_DINO = Choose("dino", ("none",))
_FILES = ("config.json", "model.safetensors")
_SIDE, _RESIZED = 224, 256  # of its own evaluation
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_BATCH = 16


class Dino:
    """name: where it came from."""

    def __init__(self, name: str, model: Any) -> None:
        self.name = name
        self._model = model.eval().requires_grad_(False)

    @classmethod
    def load(cls, name: str, device: str = "auto", hub: Hub | None = None, progress: Progress = SILENT) -> Dino:
        """A folder in transformers' format, or a hub id. Raises ModelError, MissingPackageError, or Cancelled."""
        check_dino(name)
        model_class = dino_class()
        folder = existing(name)
        if folder is None:
            folder = (hub or Hub()).fetch(name, _FILES, progress, instead=WITHOUT_DINO)
        with quiet_transformers():
            model = load_whole(model_class, folder, f"{name} cannot be loaded as a DINOv2", Give("dino"), WITHOUT_DINO)
        return cls(name, model.to(pick_device(device)))

    @torch.no_grad()
    def encode_images(self, images: Sequence[Image.Image]) -> Tensor:
        """Unit vectors [images, width]: the class token's."""
        parts = []
        for first in range(0, len(images), _BATCH):
            pixels = torch.stack([_prepared(image) for image in images[first : first + _BATCH]])
            parts.append(self._model(pixels.to(self._model.device)).pooler_output.float().cpu())
        features = torch.nn.functional.normalize(torch.cat(parts), dim=-1)
        if not bool(torch.isfinite(features).all()):
            raise ModelError(f"{self.name} gives values that are no numbers", WHOLE_AGAIN, WITHOUT_DINO)
        return features


def dino_class() -> Any:
    """Raises ModelError, MissingPackageError."""
    found = transformers_attribute("Dinov2Model")
    if found is None:
        raise ModelError("This transformers has no DINOv2", Install(("transformers",), "--upgrade"))
    return found


def _prepared(image: Image.Image) -> Tensor:
    """[3, 224, 224]: the middle, resized and normalised."""
    scale = _RESIZED / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    resized = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    left, top = (size[0] - _SIDE) // 2, (size[1] - _SIDE) // 2
    middle = resized.crop((left, top, left + _SIDE, top + _SIDE))
    values = np.asarray(middle, np.float32) / 255
    return torch.from_numpy((values - np.array(_MEAN, np.float32)) / np.array(_STD, np.float32)).permute(2, 0, 1)
