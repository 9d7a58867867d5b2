"""Pictures as a CLIP sees them, or has seen them already, for hosts that pass on what their vision model gave."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from ..cures import Give
from ..errors import EmbeddingError, SettingsError
from .kinds import is_tuned

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from ..clip import Clip

    Encode = Callable[[Clip, Iterable[Image]], Tensor]


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


def check_unseen(images: Any, projection: str | None) -> None:
    """SettingsError where a projection has to look at pictures itself, of which only what was seen is at hand."""
    if is_tuned(projection) and isinstance(images, Seen):
        raise SettingsError(
            "A tuned projection looks at pictures in its own way", Give("images", "the pictures themselves")
        )


def each_look(images: Any, encode: Encode) -> tuple[Callable[[Clip], Tensor], int | None]:
    """What gives a CLIP's view of pictures, or of what it has seen, and how many there are, where they are no
    iterator's."""
    from ..images import open_each

    if isinstance(images, Seen):
        return lambda clip: clip.recognised(images.features), len(images)
    pictures = open_each(images)
    return lambda clip: encode(clip, pictures), len(pictures) if isinstance(pictures, list) else None


def looking_at(images: Any, encode: Encode) -> tuple[Callable[[Clip], Seen], list[Image], tuple[str, ...]]:
    """What gives a CLIP's view of pictures, those that are at hand, opened before a CLIP is loaded, and a hash of
    each."""
    from ..images import image_key, open_images

    if isinstance(images, Seen):
        return lambda _: images, [], images.keys
    pictures = open_images(images)
    keys = tuple(map(image_key, pictures))
    return lambda clip: Seen(encode(clip, pictures), keys), pictures, keys
