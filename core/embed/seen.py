"""Pictures as a CLIP has seen them already, for hosts that pass on what their vision model gave."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from ..errors import EmbeddingError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Seen:
    """features: joint embeddings [pictures, joint width], float32 and normalised. keys: a hash for each picture."""

    features: Tensor
    keys: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.keys)

    @classmethod
    def of(cls, embeddings: Tensor) -> Seen:
        """From joint embeddings [pictures, joint width] of any length; their hashes stand for those of the pictures.

        Raises EmbeddingError where there are none, or one points nowhere."""
        embeddings = embeddings.detach()
        lengths = embeddings.float().norm(dim=-1, keepdim=True)
        if embeddings.ndim != 2 or not len(embeddings) or not bool(((lengths > 0) & lengths.isfinite()).all()):
            raise EmbeddingError("What was seen of the pictures is no embedding of them", "let a CLIP see them again")
        features = embeddings.float() / lengths
        rows = features.cpu().contiguous()
        return cls(features, tuple(sha256(row.numpy().tobytes()).hexdigest() for row in rows.unbind()))
