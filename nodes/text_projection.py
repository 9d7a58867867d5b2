"""The text projection of a CLIP-L: checkpoints and most files of the text encoder alone come without it, whole CLIPs
have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..core.embed.text_projection import projection_file
from ..core.errors import ModelError
from ..core.foreign import FLOATS, Stored, Unreadable, read_header, read_tensors
from ..core.progress import SILENT, Progress
from ..core.published import (
    CLIP_L,
    ENCODER_ALONE,
    OPEN_CLIP_PROJECTION_TENSORS,
    PROJECTION_TENSORS,
    TRANSFORMERS_WEIGHTS,
    VIT_L,
)
from . import host
from .models import hub

_NOTHING = Stored("", (), 0, 0)
_LARGEST_DIFFERENCE = 0.5
"""Of the positions' embeddings, relative: fine-tuning moves them by a few per cent, another training by far more."""

_LAYOUTS = ((PROJECTION_TENSORS, False), (OPEN_CLIP_PROJECTION_TENSORS, True))
"""The projection and the positions' embeddings; whether the first is the transpose of a linear layer's weight."""


def find_projection(text_model: Any, progress: Progress = SILENT) -> Tensor:
    """[width, width] of the file in ComfyUI's folders whose text encoder is nearest to the given one; where none is
    near, the original model's, which is downloaded alone.

    Raises ModelError when it cannot be had, Cancelled.
    """
    positions = text_model.embeddings.position_embedding.weight.detach().float().cpu()
    found = _nearest(positions, _files())
    reason = ""
    if found is None:
        try:
            found = _nearest(positions, [projection_file(VIT_L, hub(), progress)])
        except ModelError as error:
            reason = f" ({str(error).rstrip('.')})"
    if found is None:
        raise ModelError(
            f"The checkpoint's CLIP-L comes without its text projection, as {ENCODER_ALONE.name} does; no file in "
            "models/clip_vision or models/text_encoders has it, and the original model's cannot take its place"
            f"{reason}",
            "put a whole CLIP-L into models/clip_vision, such as "
            f"{TRANSFORMERS_WEIGHTS} of {CLIP_L.repo} on Hugging Face",
            "use Load Interrogator",
        )
    return found


def _nearest(positions: Tensor, files: Iterable[Path]) -> Tensor | None:
    difference, projection = min(
        _candidates(positions, files), key=lambda candidate: candidate[0], default=(float("inf"), None)
    )
    if projection is None or difference > _LARGEST_DIFFERENCE:
        return None
    # copied, since Windows replaces no file that is mapped
    return projection.clone()


def _candidates(positions: Tensor, files: Iterable[Path]) -> Iterator[tuple[float, Tensor]]:
    """The projection of every file that has one of the same width, with how far its encoder is from `positions`."""
    width = positions.shape[1]
    for path in files:
        try:
            names = read_header(path).tensors
            for (projection_name, position_name), transposed in _LAYOUTS:
                if names.get(position_name, _NOTHING).shape != tuple(positions.shape):
                    continue
                found = names.get(projection_name, _NOTHING)
                if found.dtype not in FLOATS or found.shape != (width, width):
                    continue  # eight bits are too coarse, and may stand for other numbers
                tensors = read_tensors(path, [position_name, projection_name])
                other, projection = tensors[position_name].float(), tensors[projection_name]
                difference = float(torch.dist(other, positions) / positions.norm())
                if difference == difference:
                    yield difference, projection.T if transposed else projection
        except Unreadable:
            continue


def _files() -> Iterator[Path]:
    for kind in ("text_encoders", "unrender", "clip_vision"):
        for folder in host.model_folders(kind):
            yield from sorted(folder.rglob("*.safetensors"))
