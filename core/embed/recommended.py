"""Which quality or projection suits a checkpoint, as `unrender verify` found by rendering with it."""

from __future__ import annotations

from pathlib import Path

from ..recommendation import keep, kept
from .kinds import PROJECTIONS, QUALITIES, Projection, Quality

_KNOWN: tuple[Quality | Projection, ...] = (*QUALITIES, *PROJECTIONS)


def recommend(folder: Path, fingerprint: str, name: Quality | Projection) -> None:
    """Keeps it for the text encoders of that fingerprint (`PromptEmbedding.fingerprint`). Raises SettingsError where
    the folder cannot be written."""
    keep(folder, fingerprint[:32], name)


def recommended(folder: Path, fingerprint: str) -> Quality | Projection | None:
    """What was found for text encoders, None where nothing was."""
    return kept(folder, fingerprint[:32], _KNOWN)
