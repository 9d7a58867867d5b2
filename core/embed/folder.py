"""Saved embeddings in a folder, by name."""

from __future__ import annotations

from pathlib import Path

from ..errors import EmbeddingError
from ..file_names import NAME_BYTES, has_ending, is_safe_stem, safe_stem
from ..files import is_inside
from ..printable import visible
from .embedding import PromptEmbedding

FOLDER = "prompt_embeddings"
"""Below where a host keeps models, or below the cache."""

ENDING = ".safetensors"
_SHOWN = NAME_BYTES


def saved_embeddings(folder: Path) -> dict[str, Path]:
    """The files in the folder and below, by their names in it."""
    found = sorted(path for path in folder.rglob("*") if has_ending(path.name, ENDING))
    return {path.relative_to(folder).as_posix(): path for path in found}


def path_for(folder: Path, name: str) -> Path:
    """Where one of that name is kept; slashes are for folders below. Raises EmbeddingError for a name that leads out of
    the folder, by links too, or that some system does not take."""
    name = name.strip()
    stem = name[: -len(ENDING)] if has_ending(name, ENDING) else name
    parts, room = stem.split("/"), NAME_BYTES - len(ENDING)
    if not all(_is_name(part, room) for part in parts):
        told = "/".join(safe_stem(part, room) for part in parts if part.strip(" .")) or safe_stem("", room)
        raise EmbeddingError(
            f"{_in_brief(visible(stem))!r} is no name for a file on every system", f"call it {_in_brief(told)}"
        )
    path = folder / f"{stem}{ENDING}"
    if not is_inside(folder, path):
        raise EmbeddingError(f"The links at {path.parent} lead out of {folder}, or in a circle", "choose another name")
    return path


def _in_brief(name: str) -> str:
    return name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."


def _is_name(part: str, room: int) -> bool:
    """A tilde in front would not be found again: elsewhere it is somebody's home."""
    return is_safe_stem(part, room) and not part.startswith("~")


def save_as(embedding: PromptEmbedding, folder: Path, name: str) -> Path:
    """Writes it into the folder, which is made; one of that name is replaced. Raises what `path_for` does, and
    EmbeddingError where it cannot be written."""
    path = path_for(folder, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddingError(f"{path.parent} cannot be made ({error.strerror})", "choose another name") from error
    embedding.save(path)
    return path
