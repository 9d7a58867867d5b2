"""The pictures of an index that are nearest to a text or another picture, and those that have some tags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import IndexFileError, SettingsError
from .file import PictureIndex
from .tags import TagFilter, TagTable


@dataclass(frozen=True)
class Found:
    """A picture. similarity: cosine to what was searched, -1..1; None where tags alone were asked for. confidence: the
    least of the tags that were asked for, 0..1; None where none was."""

    path: Path
    similarity: float | None
    confidence: float | None = None


def search(
    index: PictureIndex, features: np.ndarray | None, top: int, tags: TagFilter | None = None
) -> tuple[Found, ...]:
    """The `top` pictures nearest to an embedding [width] among those that the tags let through, the nearest first,
    equal ones by name; without an embedding those whose tags are the surest.

    One product over all rows: what an approximate index saves is less than reading the file takes.
    Raises SettingsError when top is below 1, IndexFileError where tags are asked of an index without any.
    """
    if top < 1:
        raise SettingsError(f"top is {top}", "give 1 or more")
    asked = tags or TagFilter()
    confidences = asked.confidences(tags_of(index)) if asked else np.ones(len(index))
    similarities = confidences if features is None else index.features @ features.astype(np.float32)
    order = np.argsort(-similarities, kind="stable")
    best = order[np.isfinite(confidences[order])][:top]
    return tuple(
        Found(
            index.path(int(row)),
            None if features is None else float(similarities[row]),
            float(confidences[row]) if asked.wanted or asked.ratings else None,
        )
        for row in best
    )


def tags_of(index: PictureIndex) -> TagTable:
    """Raises IndexFileError where there are none."""
    if index.tags is None or not index.tags.tagged.any():
        raise IndexFileError(f"The index of {index.root} holds no tags", "index its folder with a tagger")
    return index.tags
