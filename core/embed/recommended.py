"""Which projection suits a checkpoint, as `unrender verify` found by rendering with it."""

from __future__ import annotations

import uuid
from pathlib import Path

from ..errors import EmbeddingError
from ..hub.client import OTHER_CACHE
from .families import PROJECTIONS, Projection


def recommend(folder: Path, fingerprint: str, projection: Projection) -> None:
    """Keeps it for the text encoders of that fingerprint (`PromptEmbedding.fingerprint`). Raises EmbeddingError where
    the folder cannot be written."""
    path = _path(folder, fingerprint)
    fresh = path.with_name(f"{path.stem}.{uuid.uuid4().hex[:8]}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh.write_text(projection, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise EmbeddingError(
            f"The recommendation cannot be kept in {folder} ({error.strerror})", "make room there", OTHER_CACHE
        ) from error


def recommended(folder: Path, fingerprint: str) -> Projection | None:
    """What was found for text encoders, None where nothing was."""
    try:
        said = _path(folder, fingerprint).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return next((known for known in PROJECTIONS if known == said), None)


def _path(folder: Path, fingerprint: str) -> Path:
    return folder / f"recommended-{fingerprint[:32]}.txt"
