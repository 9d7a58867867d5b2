"""Captioners that continue a text, and take a picture as a tensor of one size."""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from torch import Tensor

from .models import CaptionModel

_MOST_AS_IT_IS = 2_100_000
"""Pixels of a picture that is kept to be made ready with others, which takes less time than each by itself."""


class Continuing(CaptionModel):
    """Continues a text; the caption contains it."""

    def seen(self, image: Image.Image) -> Any:
        if image.width * image.height <= _MOST_AS_IT_IS:
            return image
        with self._asked():
            return self._made_ready([image])

    def _together(self, seen: list[Any]) -> dict[str, Tensor]:
        """What the model takes of pictures, some of which have been made ready: as if it had been done with all."""
        kept = [each for each in seen if isinstance(each, Image.Image)]
        rows = iter(self._rows_of(kept))
        parts = [next(rows) if isinstance(each, Image.Image) else each for each in seen]
        return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}

    def _rows_of(self, images: list[Image.Image]) -> list[dict[str, Tensor]]:
        made = self._made_ready(images) if images else {}
        return [{name: value[row : row + 1] for name, value in made.items()} for row in range(len(images))]

    def _made_ready(self, images: list[Image.Image]) -> dict[str, Tensor]:
        made = self._processor.image_processor(images, return_tensors="pt")
        return {name: value for name, value in made.items() if isinstance(value, Tensor)}
