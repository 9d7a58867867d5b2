"""The micro captioner, without transformers, which takes longer to import than micro takes to describe a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from ...clip.preprocess import Preprocess
from ...foreign import read_json
from ...hub.names import CONFIG
from ...micro.blip import MicroBlip, MicroBranches
from ...micro.modules import filled
from ...micro.tokens import BertTokens
from ...settings import CaptionSettings
from .blip import Blip
from .models import Answer, CaptionModel


def load_micro(name: str, folder: Path, dtype: torch.dtype, from_library: Callable[[], CaptionModel]) -> CaptionModel:
    """On the CPU. from_library: loads the same with transformers."""
    model = filled(MicroBlip, read_json(folder / CONFIG), folder, dtype)
    return _Micro(name, model, _Processor(folder), dtype, from_library)


class _Processor:
    def __init__(self, folder: Path) -> None:
        self.tokenizer = BertTokens.of(folder)
        self._preprocess = Preprocess.from_transformers(read_json(folder / "preprocessor_config.json"))

    def image_processor(self, images: list[Image.Image], return_tensors: str) -> dict[str, Tensor]:
        return {"pixel_values": torch.stack([self._preprocess(image) for image in images])}


class _Micro(Blip):
    def __init__(
        self, name: str, model: MicroBlip, processor: Any, dtype: torch.dtype, from_library: Callable[[], CaptionModel]
    ) -> None:
        super().__init__(name, model, processor, dtype)
        self._from_library = from_library
        self._library: CaptionModel | None = None

    @property
    def _has_branches(self) -> bool:
        return True

    def _branches(self, pixels: Tensor, begun: Tensor) -> MicroBranches:
        return MicroBranches(self._model, pixels, begun)

    def describe(self, images: list[Any], settings: CaptionSettings) -> list[Answer]:
        """The beam search is transformers' own."""
        if settings.beams == 1:
            return super().describe(images, settings)
        if self._library is None:
            self._library = self._from_library()
        self._library.to(self._device)
        return self._library.describe(images, settings)
