"""A vocabulary's embeddings for one model: built once, kept on disk, ranked in one product."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import re
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from ..clip import Clip
from ..foreign import Unreadable, read_header, read_tensors
from ..progress import Progress
from .vocabulary import Category

_log = logging.getLogger(__name__)

_PHRASES_AT_ONCE = 4096
_ROWS_AT_ONCE = 4096
_SHOW_PROGRESS_FROM = 1000


@dataclass(frozen=True)
class PhraseTable:
    """phrases and the category of each; embeddings [phrases, width], contiguous, rows of length 1: float32 on the
    model's device, or float16 in main memory to be ranked slice by slice."""

    phrases: tuple[str, ...]
    categories: tuple[str, ...]
    embeddings: Tensor

    @classmethod
    def load(
        cls, clip: Clip, categories: Sequence[Category], folder: Path, progress: Progress, room: int | None = None
    ) -> PhraseTable:
        """The tables of the categories one below the other, each from `folder` or built and put there.

        room: bytes there are for it on the device; where they do not suffice it stays in main memory.
        """
        parts = [_category_embeddings(clip, category, folder, progress) for category in categories]
        rows, width = sum(map(len, parts)), parts[0].shape[1] if parts else 0
        if room is None or rows * width * torch.float32.itemsize <= room:
            embeddings = torch.empty(rows, width, device=clip.device)
        else:
            embeddings = torch.empty(rows, width, dtype=torch.float16)
        start = 0
        for part in parts:
            embeddings[start : start + len(part)] = part
            start += len(part)
        return cls(
            tuple(phrase for category in categories for phrase in category.phrases),
            tuple(category.name for category in categories for _ in category.phrases),
            embeddings,
        )

    def rows(self, category: str) -> slice:
        """Where a category's phrases are; an empty slice for one the table does not have."""
        return self._bounds.get(category, slice(0, 0))

    @cached_property
    def _bounds(self) -> dict[str, slice]:
        counts = Counter(self.categories)
        stops = accumulate(counts.values())
        return {name: slice(stop - counts[name], stop) for name, stop in zip(counts, stops, strict=True)}

    def similarities(self, features: Tensor) -> np.ndarray:
        """Cosine similarity of every phrase with features [width]: float32 [phrases]; of several pictures, features
        [pictures, width], at once: [pictures, phrases]."""
        if self.embeddings.dtype == torch.float32:
            return linear(features, self.embeddings).cpu().numpy()
        slices = (rows.to(features.device, torch.float32) for rows in self.embeddings.split(_ROWS_AT_ONCE))
        return torch.cat([linear(features, rows) for rows in slices], dim=-1).cpu().numpy()

    def nbytes_on(self, device: torch.device) -> int:
        return self.embeddings.nbytes if self.embeddings.device == device else 0


def _category_embeddings(clip: Clip, category: Category, folder: Path, progress: Progress) -> Tensor:
    """float16 [phrases, width]."""
    key = _key(clip, category)
    stem = re.sub(r"[^\w.-]+", "_", f"{Path(clip.name).name}-{category.name}")[:60] + "-" + key[:20]
    known = _read(folder, stem, len(category.phrases), key)
    if known is None:
        known = _build(clip, category, progress)
        _write(folder, stem, known, key)
    return known


def _key(clip: Clip, category: Category) -> str:
    text = "\n".join(category.phrases)
    return hashlib.sha256(f"{clip.fingerprint}\n{text}".encode()).hexdigest()


def _build(clip: Clip, category: Category, progress: Progress) -> Tensor:
    """float16 [phrases, width]. Sorted by tokens, phrases that begin alike are evaluated together."""
    phrases = category.phrases
    order = sorted(range(len(phrases)), key=lambda row: clip.text.ids(phrases[row]))
    embeddings: Tensor | None = None
    shown = progress if len(phrases) >= _SHOW_PROGRESS_FROM else Progress()
    with shown.task(f"Embedding {category.name}", len(phrases), "phrases") as task:
        for start in range(0, len(order), _PHRASES_AT_ONCE):
            rows = order[start : start + _PHRASES_AT_ONCE]
            part = clip.encode_texts([phrases[row] for row in rows], progress).half().cpu()
            if embeddings is None:
                embeddings = torch.empty(len(phrases), part.shape[1], dtype=torch.float16)
            embeddings[rows] = part
            task.advance(len(rows))
    assert embeddings is not None, "a category has at least one phrase"
    return embeddings


def _read(folder: Path, stem: str, count: int, key: str) -> Tensor | None:
    """The first whole file of that table, memory-mapped; files that are damaged are removed."""
    for path in sorted(folder.glob(f"{stem}.*.safetensors")):
        try:
            header = read_header(path)
            whole = header.shape("embeddings", "F16", ndim=2)[0] == count and header.metadata.get("key") == key
            embeddings = read_tensors(path, ["embeddings"])["embeddings"] if whole else None
            if embeddings is not None and _is_normalised(embeddings):
                return embeddings
        except Unreadable:
            pass
        with contextlib.suppress(OSError):
            path.unlink()
    return None


def _is_normalised(embeddings: Tensor) -> bool:
    lengths = torch.linalg.vector_norm(embeddings, dim=1, dtype=torch.float32)
    return bool(((lengths - 1).abs() < 0.01).all())


def _write(folder: Path, stem: str, embeddings: Tensor, key: str) -> None:
    """Under a name of its own, complete from the moment it appears: nothing another process maps is ever replaced.
    A folder that cannot be written costs the next start the time to build, nothing else."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    name = f"{stem}.{uuid.uuid4().hex[:8]}"
    unfinished = folder / f"{name}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"embeddings": embeddings}, str(unfinished), metadata={"key": key})
        unfinished.rename(folder / f"{name}.safetensors")
    except (SafetensorError, OSError) as error:
        _log.warning("The phrase table %s cannot be kept in %s (%s); it is built again next time.", stem, folder, error)
        with contextlib.suppress(OSError):
            unfinished.unlink()
