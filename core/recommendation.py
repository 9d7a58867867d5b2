"""One word of advice, in a file of its own: what was measured to suit these models best."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from .cures import Give
from .errors import SettingsError

T = TypeVar("T", bound=str)


def keep(folder: Path, name: str, word: str) -> None:
    """Raises SettingsError where the folder cannot be written."""
    path = _path(folder, name)
    fresh = path.with_name(f"{path.stem}.{uuid.uuid4().hex[:8]}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh.write_text(word, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise SettingsError(
            f"The recommendation cannot be kept in {folder} ({error.strerror})",
            "make room there",
            Give("cache", "another folder"),
        ) from error


def kept(folder: Path, name: str, known: Sequence[T]) -> T | None:
    """One of the known words, None where none was kept."""
    try:
        said = _path(folder, name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return next((each for each in known if each == said), None)


def _path(folder: Path, name: str) -> Path:
    return folder / f"recommended-{name[:40]}.txt"
