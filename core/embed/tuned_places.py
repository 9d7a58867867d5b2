"""Where projections lie that were tuned on pictures, and by which names. Importing this loads nothing."""

from __future__ import annotations

from pathlib import Path

from ..cures import Choose
from ..errors import SettingsError
from ..file_names import has_ending
from ..foreign import existing, shown
from .kinds import TUNED, is_plain_name, is_tuned, tuned_name

ENDING = ".safetensors"
FOLDER = "tuned"
"""In the cache: what is known by a plain name."""


def tuned_folder(cache: Path | str) -> Path:
    return Path(cache) / FOLDER


def place_of(projection: str, folder: Path) -> Path:
    """The file of a projection "tuned:NAME" or "tuned:PATH". folder: see `tuned_folder`. Raises SettingsError where
    there is none."""
    name = tuned_name(projection)
    path = existing(name if _is_path(name) else str(folder / f"{name}{ENDING}"))
    if path is None or not path.is_file():
        known = tuned_names(folder)
        cure = Choose("projection", tuple(f"{TUNED}{each}" for each in known)) if known else "tune one first"
        raise SettingsError(f"There is no tuned projection {shown(name)}", cure)
    return path


def refuse_places(projection: str | None) -> None:
    """SettingsError for a file of this machine that a door to others is asked for, where names alone are taken."""
    if projection is not None and is_tuned(projection) and not is_plain_name(tuned_name(projection)):
        raise SettingsError(
            f"{shown(projection)} is no name of a tuned projection", f"give one such as {TUNED}watercolours"
        )


def tuned_names(folder: Path) -> list[str]:
    """Of the files that are known by name."""
    try:
        return sorted(path.stem for path in folder.glob(f"*{ENDING}") if is_plain_name(path.stem))
    except OSError:
        return []


def _is_path(name: str) -> bool:
    return has_ending(name, ENDING) or "/" in name or "\\" in name
