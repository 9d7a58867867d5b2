"""The text projection, which Stable Diffusion 1 checkpoints lack, checked before anything is made of it.

Hosts that build a full CLIP around such a checkpoint leave that parameter uninitialised: zeros, NaN or any numbers at
all. What comes from there ruins every embedding silently, so nothing is taken on trust.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import uuid
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..clip.names import KnownClip, find_known
from ..clip.weights import TowerWeights
from ..errors import ModelError
from ..foreign import Unreadable, read_header, read_tensors
from ..hub import Hub
from ..hub.client import OTHER_CACHE
from ..progress import SILENT, Progress
from ..published import MAIN, OPEN_CLIP_PROJECTION_TENSORS, PROJECTION_TENSORS, TRANSFORMERS_WEIGHTS

_TRANSFORMERS_KEYS = (PROJECTION_TENSORS[0], f"text_model.{PROJECTION_TENSORS[0]}")
_OPEN_CLIP_KEYS = (OPEN_CLIP_PROJECTION_TENSORS[0], f"text.{OPEN_CLIP_PROJECTION_TENSORS[0]}")
_PLAUSIBLE_GAIN = (0.02, 50.0)
"""Root mean square singular value: 1 when CLIP begins its training, which moves it little."""
_FINGERPRINTS: Mapping[str, str] = {}
"""By model name what `projection_fingerprint` gives for the published weights. Where this was written no hub could be
reached, so none is known; with one, `projection_fingerprint(projection_of(VIT_L, Hub()))` prints it."""


def checked_projection(projection: Tensor | None, width: int, joint: int | None = None, source: str = "") -> Tensor:
    """The projection [joint width, text width], float32. `joint`: the width it has to have, if known.

    Raises ModelError when it is missing, of a wrong shape, zero, NaN, or of a size no trained projection has.
    """
    source = source or "The text encoder"
    cure = "give a safetensors file of a full CLIP that holds `text_projection.weight`"
    if projection is None:
        raise ModelError(f"{source} has no text projection, as Stable Diffusion 1 checkpoints have none", cure)
    if projection.ndim != 2 or projection.shape[1] != width or joint not in (None, projection.shape[0]):
        shape, wanted = " x ".join(map(str, projection.shape)), f"{joint or 'any'} x {width}"
        raise ModelError(f"{source} has a text projection of the shape {shape} instead of {wanted}", cure)
    projection = projection.detach().float()
    if not bool(torch.isfinite(projection).all()):
        raise ModelError(f"{source} has a text projection with NaN or infinite values, so it was never loaded", cure)
    gain = float(projection.cpu().double().norm()) / math.sqrt(min(projection.shape))
    empty = bool((projection == 0).all(dim=0).any() or (projection == 0).all(dim=1).any())
    if empty or not _PLAUSIBLE_GAIN[0] <= gain <= _PLAUSIBLE_GAIN[1]:
        raise ModelError(f"{source} has a text projection of zeros or garbage, so it was never loaded", cure)
    return projection


def projection_for(weights: TowerWeights, other: Tensor | None = None, joint: int | None = None) -> Tensor:
    """`other` where it is given, else the tower's own; checked."""
    own = weights.projection if other is None else other
    return checked_projection(own, weights.embedding.shape[1], joint)


def projection_of(name: str, hub: Hub, progress: Progress = SILENT) -> Tensor:
    """The projection [joint width, text width] of a CLIP by name, such as VIT_L, without loading the model.

    Raises ModelError, or Cancelled when `progress` says so.
    """
    return read_projection(projection_file(name, hub, progress), _FINGERPRINTS.get(_known(name).name))


def projection_file(name: str, hub: Hub, progress: Progress = SILENT) -> Path:
    """A safetensors file, in either library's layout, with a CLIP's text projection and its positions' embeddings.

    That is the whole model where it is on this disk; else these two alone are downloaded, 2.6 MB for ViT-L-14, and
    kept in the cache folder's `embed`. Raises the errors of `projection_of`.
    """
    known = _known(name)
    here = (known.transformers_repo, TRANSFORMERS_WEIGHTS, known.transformers_revision)
    for repo, file, revision in (here, (known.repo, known.file, MAIN)):
        folder = hub.find(repo, [file], revision) if file else None
        if folder is not None:
            return folder / file
    kept = hub.folder / "embed" / f"projection-{known.name.replace('/', '-')}.safetensors"
    if not kept.is_file():
        _download(known, hub, kept, progress)
    return kept


def _known(name: str) -> KnownClip:
    known = find_known(name)
    if known is None or not known.transformers_repo:
        raise ModelError(f"No text projection can be had by the name {name}", "give a safetensors file that holds it")
    return known


def _download(known: KnownClip, hub: Hub, kept: Path, progress: Progress) -> None:
    """Checks what came before it is put where it will be found."""
    repo, revision = known.transformers_repo, known.transformers_revision
    content = hub.fetch_tensors(repo, TRANSFORMERS_WEIGHTS, PROJECTION_TENSORS, progress, revision=revision)
    unfinished = kept.with_name(f".{kept.name}.{uuid.uuid4().hex}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        source = f"{TRANSFORMERS_WEIGHTS} of {repo}"
        read_projection(unfinished, _FINGERPRINTS.get(known.name), source)
        unfinished.replace(kept)
    except OSError as error:
        raise ModelError(
            f"The text projection of {known.name} cannot be kept in {kept.parent} ({error.strerror or error})",
            OTHER_CACHE,
        ) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink()


def read_projection(path: Path | str, fingerprint: str | None = None, source: str = "") -> Tensor:
    """The projection [joint width, text width] from a safetensors file of open_clip's or transformers' layout.

    fingerprint: what `projection_fingerprint` has to give for it, if known. source: what errors call the file, its path
    where absent. Raises ModelError.
    """
    path = Path(path).expanduser()
    source = source or str(path)
    try:
        names = read_header(path).tensors
        own = next((name for name in _TRANSFORMERS_KEYS if name in names), None)
        turned = next((name for name in _OPEN_CLIP_KEYS if name in names), None)
        wanted = own or turned
        found = None if wanted is None else read_tensors(path, [wanted])[wanted]
    except Unreadable as error:
        raise ModelError(f"{source} cannot be read as safetensors ({error})", "give another file") from error
    if found is not None and found.ndim == 2 and own is None:
        found = found.T
    if found is not None and not found.is_floating_point():
        raise ModelError(f"{source} has a text projection of the type {found.dtype}", "give another file")
    width = 0 if found is None or not found.ndim else found.shape[-1]
    projection = checked_projection(found, width, source=source).contiguous()
    if fingerprint is not None and projection_fingerprint(projection) != fingerprint:
        raise ModelError(f"{source} holds another text projection than the one asked for", "give the original model's")
    return projection


def projection_fingerprint(projection: Tensor) -> str:
    """SHA-256 in hex of the values in half precision, in which the file of either library holds them alike."""
    values = projection.detach().cpu().to(torch.float16).contiguous()
    return hashlib.sha256(repr(tuple(values.shape)).encode() + values.numpy().tobytes()).hexdigest()
