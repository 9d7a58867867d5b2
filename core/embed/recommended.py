"""Which quality or projection suits a checkpoint, as `unrender verify` found by rendering with it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ..recommendation import keep, kept
from .kinds import PROJECTIONS, QUALITIES, Projection, Quality
from .text_side import TextSide, fingerprint_of

_KNOWN: tuple[Quality | Projection, ...] = (*QUALITIES, *PROJECTIONS)


def recommend(folder: Path, fingerprint: str, name: Quality | Projection) -> None:
    """Keeps it for the text encoders of that fingerprint (`PromptEmbedding.fingerprint`). Raises SettingsError where
    the folder cannot be written."""
    keep(folder, fingerprint[:32], name)


def recommended(folder: Path, fingerprint: str) -> Quality | Projection | None:
    """What was found for text encoders, None where nothing was."""
    return kept(folder, fingerprint[:32], _KNOWN)


def recommended_for(folder: Path, sides: Collection[TextSide]) -> Quality | Projection | None:
    """What was found for a checkpoint's text encoders, else for what they are without patches: a LoRA does not undo
    what suits a model."""
    found = recommended(folder, fingerprint_of(sides))
    if found is None and any(side.plain is not None for side in sides):
        plain = (side if side.plain is None else side.plain() for side in sides)
        found = recommended(folder, fingerprint_of(plain))
    return found
