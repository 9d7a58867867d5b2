"""Saved embeddings in a folder, by name."""

from __future__ import annotations

from pathlib import Path

from ..errors import EmbeddingError
from .embedding import PromptEmbedding

FOLDER = "prompt_embeddings"
"""Below where a host keeps models, or below the cache."""

ENDING = ".safetensors"


def saved_embeddings(folder: Path) -> dict[str, Path]:
    """The files in the folder and below, by their names in it."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob(f"*{ENDING}"))}


def save_as(embedding: PromptEmbedding, folder: Path, name: str) -> Path:
    """Writes it into the folder, which is made; one of that name is replaced. Raises EmbeddingError, also for a name
    that leads out of the folder."""
    folder = folder.resolve()
    path = (folder / f"{name.strip().removesuffix(ENDING)}{ENDING}").resolve()
    if folder not in path.parents or path.name == ENDING:
        raise EmbeddingError(f"{name!r} is no name for a file in {folder}", "give a plain one")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddingError(f"{path.parent} cannot be made ({error.strerror})", "choose another name") from error
    embedding.save(path)
    return path
