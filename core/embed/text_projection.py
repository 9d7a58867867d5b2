"""The text projection, which Stable Diffusion 1 checkpoints lack, checked before anything is made of it.

Hosts that build a full CLIP around such a checkpoint leave that parameter uninitialised: zeros, NaN or any numbers at
all. What comes from there ruins every embedding silently, so nothing is taken on trust.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path

import torch
from torch import Tensor

from ..clip.weights import TowerWeights
from ..errors import ModelError

_TRANSFORMERS_KEYS = ("text_projection.weight", "text_model.text_projection.weight")
_OPEN_CLIP_KEYS = ("text_projection", "text.text_projection")
_PLAUSIBLE_GAIN = (0.02, 50.0)
"""Root mean square singular value: 1 when CLIP begins its training, which moves it little."""


def checked_projection(projection: Tensor | None, width: int, joint: int | None = None, source: str = "") -> Tensor:
    """The projection [joint width, text width], float32. `joint`: the width it has to have, if known.

    Raises ModelError when it is missing, of a wrong shape, zero, NaN, or of a size no trained projection has.
    """
    source = source or "The text encoder"
    cure = "give a safetensors file of a full CLIP that holds `text_projection.weight`"
    if projection is None:
        raise ModelError(f"{source} has no text projection, as Stable Diffusion 1 checkpoints have none; {cure}.")
    if projection.ndim != 2 or projection.shape[1] != width or joint not in (None, projection.shape[0]):
        shape, wanted = " x ".join(map(str, projection.shape)), f"{joint or 'any'} x {width}"
        raise ModelError(f"{source} has a text projection of the shape {shape} instead of {wanted}; {cure}.")
    projection = projection.detach().float()
    if not bool(torch.isfinite(projection).all()):
        raise ModelError(f"{source} has a text projection with NaN or infinite values, so it was never loaded; {cure}.")
    gain = float(projection.double().norm()) / math.sqrt(min(projection.shape))
    empty = bool((projection == 0).all(dim=0).any() or (projection == 0).all(dim=1).any())
    if empty or not _PLAUSIBLE_GAIN[0] <= gain <= _PLAUSIBLE_GAIN[1]:
        raise ModelError(f"{source} has a text projection of zeros or garbage, so it was never loaded; {cure}.")
    return projection


def projection_for(weights: TowerWeights, other: Tensor | None = None, joint: int | None = None) -> Tensor:
    """`other` where it is given, else the tower's own; checked."""
    own = weights.projection if other is None else other
    return checked_projection(own, weights.embedding.shape[1], joint)


def read_projection(path: Path | str, fingerprint: str | None = None) -> Tensor:
    """The projection [joint width, text width] from a safetensors file of open_clip's or transformers' layout.

    fingerprint: what `projection_fingerprint` has to give for it, if known. Raises ModelError.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path).expanduser()
    try:
        with safe_open(str(path), framework="pt") as file:
            names = set(file.keys())
            own = next((name for name in _TRANSFORMERS_KEYS if name in names), None)
            turned = next((name for name in _OPEN_CLIP_KEYS if name in names), None)
            found = file.get_tensor(own) if own else file.get_tensor(turned).T if turned else None
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read as safetensors ({error}); give another file.") from error
    width = 0 if found is None else found.shape[-1]
    projection = checked_projection(found, width, source=str(path)).contiguous()
    if fingerprint is not None and projection_fingerprint(projection) != fingerprint:
        raise ModelError(f"{path} holds another text projection than the one asked for; give the original model's.")
    return projection


def projection_fingerprint(projection: Tensor) -> str:
    """SHA-256 in hex of the values in half precision, in which the file of either library holds them alike."""
    values = projection.detach().cpu().to(torch.float16).contiguous()
    return hashlib.sha256(repr(tuple(values.shape)).encode() + values.numpy().tobytes()).hexdigest()
