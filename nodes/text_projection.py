"""The text projection of a CLIP-L: checkpoints come without it, files of the text encoder alone have it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.errors import ModelError
from . import host

_LARGEST_DIFFERENCE = 0.5
"""Of the positions' embeddings, relative: fine-tuning moves them by a few per cent, another training by far more."""

# the positions' embeddings, the projection, and whether that is the transpose of a linear layer's weight
_LAYOUTS = (
    ("text_model.embeddings.position_embedding.weight", "text_projection.weight", False),
    ("positional_embedding", "text_projection", True),
)


def find_projection(text_model: Any) -> Tensor:
    """[width, width] of the file in ComfyUI's folders whose text encoder is nearest to the given one.

    Raises ModelError when no file there holds a projection of that encoder's.
    """
    positions = text_model.embeddings.position_embedding.weight.detach().float().cpu()
    found = [(difference, projection) for difference, projection in _candidates(positions)]
    nearest = min(found, key=lambda candidate: candidate[0], default=(float("inf"), None))
    if nearest[1] is None or not nearest[0] <= _LARGEST_DIFFERENCE:
        raise ModelError(
            "The checkpoint's CLIP-L comes without its text projection, and no file in models/text_encoders has it; "
            "put clip_l.safetensors (from comfyanonymous/flux_text_encoders on Hugging Face) there, "
            "or use Load Interrogator."
        )
    return nearest[1]


def _candidates(positions: Tensor) -> Iterator[tuple[float, Tensor]]:
    """The projection of every file that has one of the same width, with how far its encoder is from `positions`."""
    from safetensors import SafetensorError, safe_open

    for path in _files():
        try:
            with safe_open(str(path), "pt") as file:
                names = set(file.keys())
                for position_name, projection_name, transposed in _LAYOUTS:
                    if not {position_name, projection_name} <= names:
                        continue
                    other = file.get_tensor(position_name).float()
                    if other.shape != positions.shape:
                        continue
                    projection = file.get_tensor(projection_name)
                    difference = float(torch.dist(other, positions) / positions.norm())
                    yield difference, projection.T if transposed else projection
        except (SafetensorError, OSError):
            continue


def _files() -> Iterator[Path]:
    for kind in ("text_encoders", "unrender", "clip_vision"):
        for folder in host.model_folders(kind):
            yield from sorted(folder.rglob("*.safetensors"))
