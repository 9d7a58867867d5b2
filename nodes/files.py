"""What lies in ComfyUI's model folders that a node may offer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from ..core.embed.folder import FOLDER, saved_embeddings
from ..core.foreign import Unreadable, read_header, read_json
from . import host

_CLIP_FOLDERS = ("unrender", "clip_vision", "text_encoders")
_DOWNLOADS = "models"
_PHRASES = "phrases"

# a key of the picture's and one of the text's side, in either library's layout
_BOTH_SIDES = (
    ("vision_model.embeddings.class_embedding", "text_model.embeddings.token_embedding.weight"),
    ("visual.conv1.weight", "token_embedding.weight"),
)


def clip_files() -> dict[str, Path]:
    """Safetensors files that hold a whole CLIP, by their name in ComfyUI's folder; and folders with a model of
    transformers' under models/unrender."""
    found: dict[str, Path] = {}
    for kind in _CLIP_FOLDERS:
        for folder in host.model_folders(kind):
            for path in sorted(folder.rglob("*.safetensors")):
                name = path.relative_to(folder)
                if name.parts[0] != _DOWNLOADS and _holds_both_sides(path):
                    found.setdefault(f"{kind}/{name.as_posix()}", path)
    return found


def captioner_folders() -> dict[str, Path]:
    """Folders in transformers' format under models/unrender that are no CLIP, by name."""
    found: dict[str, Path] = {}
    for folder in host.model_folders():
        for config in sorted(folder.glob("*/config.json")):
            if config.parent.name != _DOWNLOADS and not _is_clip(config):
                found.setdefault(f"unrender/{config.parent.name}", config.parent)
    return found


def vocabulary_folders() -> dict[str, Path]:
    """The folders of phrase files under models/unrender/phrases, by name."""
    found: dict[str, Path] = {}
    for folder in host.model_folders():
        for path in sorted((folder / _PHRASES).glob("*/")):
            if any(path.glob("*.txt")):
                found.setdefault(f"{_PHRASES}/{path.name}", path)
    return found


def embedding_files() -> dict[str, Path]:
    """The prompt embeddings under models/unrender, by their names in that folder."""
    found: dict[str, Path] = {}
    for folder in host.model_folders():
        for name, path in saved_embeddings(folder / FOLDER).items():
            found.setdefault(name, path)
    return found


def path_of(choice: str, files: Mapping[str, Path]) -> str:
    """What the engine takes for a choice: the path where it is a file's name, otherwise the choice."""
    path = files.get(choice)
    return str(path) if path else choice


def phrase_files(folder: Path | None) -> str:
    """Changes whenever a phrase file of the folder does; empty without a folder."""
    if folder is None:
        return ""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.txt")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _holds_both_sides(path: Path) -> bool:
    try:
        stat = path.stat()
        return _header_has_both_sides(str(path), stat.st_mtime_ns, stat.st_size)
    except OSError:
        return False


@lru_cache(maxsize=512)
def _header_has_both_sides(path: str, modified: int, size: int) -> bool:
    """Reads the names of the tensors alone. modified, size: forget what was read when the file changes."""
    try:
        names = read_header(Path(path)).tensors
    except Unreadable:
        return False
    return any(vision in names and text in names for vision, text in _BOTH_SIDES)


def _is_clip(config: Path) -> bool:
    try:
        return str(read_json(config).get("model_type", "")).startswith(("clip", "siglip"))
    except Unreadable:
        return False
