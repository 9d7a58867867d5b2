"""What a person calls a checkpoint, looked at before any library or weight is loaded."""

from __future__ import annotations

from pathlib import Path

from ..embed.families import FAMILIES
from ..errors import ModelError
from ..foreign import Unreadable, existing, read_json, shown
from ..hub.names import is_local_name
from ..published import PIPELINE_INDEX
from . import MICRO
from .single_file import family_of_file

RENDERED = tuple(family for family in FAMILIES.values() if family.pipeline)


def check_checkpoint(name: str) -> None:
    """Raises ModelError for what can be no hub id, and for files and folders that hold no Stable Diffusion 1, 2 or
    XL."""
    path = existing(name)
    if name == MICRO:
        return
    if path is None:
        if name.count("/") != 1 or is_local_name(name):
            raise ModelError(
                f"There is no file or folder {shown(name)}, and a hub id has the form OWNER/NAME", "give either"
            )
    elif path.is_file():
        family_of_file(path)
    else:
        pipeline_of_folder(name, path)


def pipeline_of_folder(name: str, folder: Path) -> str:
    """diffusers' name of what a folder in its format holds. Raises ModelError for other kinds than Stable Diffusion 1,
    2 and XL."""
    try:
        kind = str(read_json(folder / PIPELINE_INDEX).get("_class_name", ""))
    except Unreadable as error:
        raise ModelError(
            f"{shown(name)} is no folder in diffusers' format (its {PIPELINE_INDEX}: {error})",
            "give another checkpoint",
        ) from error
    if kind not in {family.pipeline for family in RENDERED}:
        raise ModelError(f"{name} is a {kind or 'model of an unknown kind'}", "give Stable Diffusion 1, 2 or XL")
    return kind
