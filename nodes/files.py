"""What lies in ComfyUI's model folders that a node may offer."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..core.choices import VOCABULARIES
from ..core.cures import Control, Give
from ..core.embed.folder import FOLDER, saved_embeddings
from ..core.errors import ModelError, PhraseError, SettingsError
from ..core.foreign import Unreadable, read_header, read_json, shown
from ..core.hub.names import is_local_name
from ..core.phrases.families import own_files, texts_in
from ..core.printable import quoted
from ..core.published import CONFIG, TAG_LIST
from . import host

FOLDER_OF_MODELS = "unrender"
_CLIP_FOLDERS = (FOLDER_OF_MODELS, "clip_vision", "text_encoders")
_LONGEST_PLACE = 500
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
    """Folders in transformers' format under models/unrender that are neither CLIP nor tagger, by name."""
    taggers = tagger_folders()
    others = {name: folder for name, folder in _folders_with(CONFIG).items() if name not in taggers}
    return {name: folder for name, folder in others.items() if not _is_clip(folder / CONFIG)}


def tagger_folders() -> dict[str, Path]:
    """Folders under models/unrender with a tagger and its list, by name."""
    return _folders_with(TAG_LIST)


def _folders_with(file: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in host.model_folders():
        for path in sorted(folder.glob(f"*/{file}")):
            if path.parent.name != _DOWNLOADS:
                found.setdefault(f"{FOLDER_OF_MODELS}/{path.parent.name}", path.parent)
    return found


def vocabulary_folders() -> dict[str, Path]:
    """The folders of phrase files under models/unrender/phrases, by name."""
    found: dict[str, Path] = {}
    for folder in host.model_folders():
        for path in sorted((folder / _PHRASES).glob("*/")):
            if texts_in(path):
                found.setdefault(f"{_PHRASES}/{path.name}", path)
    return found


def embedding_files() -> dict[str, Path]:
    """The prompt embeddings under models/unrender, by their names in that folder."""
    found: dict[str, Path] = {}
    for folder in host.model_folders():
        for name, path in saved_embeddings(folder / FOLDER).items():
            found.setdefault(name, path)
    return found


def path_of(choice: str, files: Mapping[str, Path], control: Control = "clip") -> str:
    """What the engine takes for a choice: the path where it is a file's name, otherwise the choice. Raises ModelError
    for the name of a file that is gone, which no hub is to be asked for, and for what is no name."""
    check_name(choice, control)
    path = files.get(choice)
    if path is None and (is_local_name(choice) or _kind_in(choice) in (*_CLIP_FOLDERS, _PHRASES)):
        place = shown(str(_place_of(choice)), _LONGEST_PLACE)
        raise ModelError(f"{shown(choice)} is not here any more; it would be {place}", "put it there", Give(control))
    return str(path) if path else choice


def check_name(choice: Any, control: Control) -> None:
    """SettingsError for what through the API may stand in a choice's place; ComfyUI looks at no choice of these nodes
    until its later versions."""
    if not isinstance(choice, str):
        raise SettingsError(f"{quoted(choice)} is no name", Give(control))


def vocabulary_of(choice: str) -> Path | str | None:
    """What Settings take for a choice of phrases. Raises PhraseError for a folder that is gone."""
    check_name(choice, "phrases")
    folder = vocabulary_folders().get(choice)
    if folder is None and choice not in VOCABULARIES:
        place = shown(str(_place_of(f"{FOLDER_OF_MODELS}/{choice}")), _LONGEST_PLACE)
        raise PhraseError(
            f"The vocabulary {shown(choice)} is not here any more; its phrase files would be in {place}",
            "put them there",
            Give("phrases"),
        )
    return folder or VOCABULARIES[choice]


def _place_of(choice: str) -> Path:
    """Where a file that is gone would be, by the name that it was offered by."""
    kind, name = _kind_in(choice), choice.partition("/")[2].strip()
    if kind == _PHRASES:
        return host.model_folders()[0] / _PHRASES / name
    return host.model_folders(kind)[0] / name if kind in _CLIP_FOLDERS and name else Path(choice)


def _kind_in(choice: str) -> str:
    """The folder that a name of this project's begins with, as whoever typed it may have it."""
    return choice.partition("/")[0].strip().casefold()


def phrase_files(vocabulary: Any) -> str:
    """Changes whenever a phrase file of the chosen folder does; empty without a folder."""
    folder = vocabulary_folders().get(str(vocabulary))
    if folder is None:
        return ""
    digest = hashlib.sha256()
    for path in own_files(folder):
        digest.update(os.fsencode(path.relative_to(folder)) + b"\0" + path.read_bytes() + b"\0")
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
