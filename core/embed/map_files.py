"""Fitted maps on disk: one safetensors file an encoder, found again by what it was fitted from."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from ..clip.layers import Layer
from ..files import replace_whole
from ..foreign import Header, Unreadable, read_header, read_tensors
from .pruning import prune, used
from .ridge import RidgeFit, SequenceMap
from .text_side import TextSide

_log = logging.getLogger(__name__)
_VERSION, _BANK_VERSION, _LEARNED_VERSION = "ridge 1", "bank 1", "learned 1"
_CORRECTION_VERSION = "correction 1"


def map_key(
    joint_fingerprint: str, side: TextSide, layers: Sequence[Layer], prompts: Sequence[str], fit: RidgeFit
) -> str:
    """Equal for equal fits. joint_fingerprint: of the CLIP whose embeddings are the inputs."""
    names = ",".join(map(_name, layers))
    return _key(_VERSION, joint_fingerprint, side.fingerprint, side.padding, names, _told(fit), *prompts)


def correction_key(
    joint_fingerprint: str,
    side: TextSide,
    plain: TextSide,
    layers: Sequence[Layer],
    prompts: Sequence[str],
    fit: RidgeFit,
    *more: str,
) -> str:
    """Of what LoRAs change. plain: the encoder without them. more: what else it goes by."""
    both, names = (side.fingerprint, plain.fingerprint), ",".join(map(_name, layers))
    return _key(_CORRECTION_VERSION, joint_fingerprint, *both, side.padding, names, _told(fit), *prompts, *more)


def bank_key(joint_fingerprint: str, side: TextSide, layer: Layer, prompts: Sequence[str]) -> str:
    """Equal for equal banks."""
    return _key(_BANK_VERSION, joint_fingerprint, side.fingerprint, side.padding, _name(layer), *prompts)


def learned_key(joint_fingerprint: str, side: TextSide, layer: Layer) -> str:
    """Of what was learned last from pictures, whichever they were."""
    return _key(_LEARNED_VERSION, joint_fingerprint, side.fingerprint, side.padding, _name(layer))


def _told(fit: RidgeFit) -> str:
    """As files that are kept already have it in their keys, whatever the class is called."""
    return f"Fit({', '.join(f'{name}={value!r}' for name, value in asdict(fit).items())})"


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def load_or_fit(
    folder: Path,
    key: str,
    layers: Sequence[Layer],
    fit: Callable[[], Mapping[Layer, SequenceMap]],
    kind: str = "ridge",
) -> Mapping[Layer, SequenceMap]:
    """The maps under this key, from the folder or fitted and put there; the same values either way. kind: what the
    file's name begins with.

    A damaged file is fitted anew; a folder that cannot be written costs the next start the time to fit.
    """
    path = folder / f"{kind}-{key[:32]}.safetensors"
    known = read_maps(path, key, layers)
    if known is not None:
        used(path)
        return known
    fitted = fit()
    try:
        write_maps(path, fitted, key)
        prune(folder)
    except OSError as error:
        _log.warning("The fitted map cannot be kept in %s (%s); it is fitted again next time.", folder, error)
    return {layer: _rounded(fitted[layer]) for layer in layers}


def write_maps(path: Path, maps: Mapping[Layer, SequenceMap], key: str) -> None:
    """As a whole or not at all. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_whole(path, maps_as_bytes(maps, key))


def maps_as_bytes(
    maps: Mapping[Layer, SequenceMap], key: str, beside: Mapping[str, Tensor] | None = None, **told: str
) -> bytes:
    """The right factors in half precision: they are nearly all of the file. A row's scale is kept apart, since half
    precision ends at 65,504. beside, told: tensors and texts that the file holds as well."""
    from safetensors.torch import save

    tensors = dict(beside or {})
    for layer, each in maps.items():
        rows, scales = _halved(each.right)
        parts = {"left": each.left, "right": rows, "scales": scales, "mean": each.mean, "centre": each.centre}
        parts["spread"] = torch.tensor([each.spread], dtype=torch.float64)
        tensors |= {f"{_name(layer)}.{name}": tensor for name, tensor in parts.items()}
    return save(
        {name: each.cpu().contiguous() for name, each in tensors.items()},
        metadata={**told, "format": "unrender-ridge", "key": key},
    )


def read_maps(path: Path, key: str, layers: Sequence[Layer]) -> dict[Layer, SequenceMap] | None:
    """None for a file that is absent, damaged, or of another fit."""
    try:
        header = read_header(path)
        if header.metadata.get("key") != key:
            return None
        return {layer: _map(path, header, _name(layer)) for layer in layers}
    except Unreadable:
        return None


def _map(path: Path, header: Header, layer: str) -> SequenceMap:
    """Raises Unreadable."""
    names = {name: f"{layer}.{name}" for name in ("left", "right", "scales", "mean", "centre", "spread")}
    joint, rank = header.shape(names["left"], "F32", ndim=2)
    right = header.shape(names["right"], "F16", ndim=3)
    fits = header.shape(names["scales"], "F32", ndim=1) == (rank,) == right[:1]
    fits = fits and header.shape(names["mean"], "F32", ndim=2) == right[1:]
    fits = fits and header.shape(names["centre"], "F32", ndim=1) == (joint,)
    if not fits or header.shape(names["spread"], "F64", ndim=1) != (1,):
        raise Unreadable("its parts do not fit")
    parts = read_tensors(path, list(names.values()))
    if not all(bool(torch.isfinite(part).all()) for part in parts.values()):
        raise Unreadable("it holds what is no number")
    left, rows, scales, mean, centre, spread = (parts[name] for name in names.values())
    return SequenceMap(left, rows.float() * scales[:, None, None], mean, centre, float(spread[0]))


def _halved(right: Tensor) -> tuple[Tensor, Tensor]:
    scales = right.flatten(1).abs().amax(dim=1).clamp_min(1e-30)
    return (right / scales[:, None, None]).half(), scales


def _rounded(fitted: SequenceMap) -> SequenceMap:
    """As it will be read from the file, into main memory, so that the first run gives what all others give."""
    rows, scales = _halved(fitted.right.cpu())
    right = rows.float() * scales[:, None, None]
    return SequenceMap(fitted.left.cpu(), right, fitted.mean.cpu(), fitted.centre.cpu(), fitted.spread)


def _name(layer: Layer) -> str:
    return f"skipped{layer.skipped}{'-normed' if layer.normed else ''}"
