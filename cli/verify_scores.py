"""What `verify --scores` does: a folder of pictures in the measures that others publish."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import SettingsError, UnrenderError
from ..core.files import write_whole
from ..core.settings import Settings
from ..core.verify.asked import check_dino
from . import engine_options
from .pictures import PICTURE_SUFFIXES
from .streams import complain, tell_written, write_line

if TYPE_CHECKING:
    from ..core.verify.fidelity import Judge

_REPORT = "scores.json"


def run(options: argparse.Namespace) -> int:
    """Prints the scores. Errors are raised."""
    from ..core.clip.naming import check_clip
    from ..core.places import check_folder

    made = pictures_of(options.scores)
    references = [] if options.pictures is None else pictures_of(options.pictures)
    settings = engine_options.clip_settings_from(options)
    if options.output is not None:
        check_folder(options.output, [_REPORT])
    check_clip(settings.clip)
    if options.dino != "none":
        if not references:
            raise SettingsError("--dino compares with references", "name their folder with --pictures")
        check_dino(options.dino)
    found = _scored(options, settings, made, references)
    if options.output is not None:
        _write(options.output, found)
    return 0


def pictures_of(folder: Path) -> list[Path]:
    """The picture files of a folder, by name. Raises SettingsError where there is none."""
    if not folder.is_dir():
        raise SettingsError(f"{folder} is no folder", "give one with pictures")
    try:
        found = [path for path in sorted(folder.iterdir()) if path.suffix.casefold() in PICTURE_SUFFIXES]
    except OSError as error:
        raise SettingsError(f"{folder} cannot be read ({error.strerror})", "give another folder") from error
    if not found:
        raise SettingsError(f"{folder} holds no pictures", "give another folder")
    return found


def _scored(
    options: argparse.Namespace, settings: Settings, made: list[Path], references: list[Path]
) -> Mapping[str, Any]:
    from ..core.clip import Clip
    from ..core.hub import Hub
    from ..core.verify.dino import Dino, dino_class
    from ..core.verify.scores import score
    from .progress import terminal_progress

    hub, progress = Hub(options.cache), terminal_progress()
    if options.dino != "none":
        dino_class()  # which a model need not be loaded for to be missed
    clip = Clip.load(settings.clip, settings.device, settings.precision, hub, progress)
    eyes: list[Judge] = [clip]
    if options.dino != "none":
        eyes.append(Dino.load(options.dino, settings.device, hub, progress))
    found, failed = score(clip, eyes if references else [], made, references, progress)
    for error in failed:
        complain(error)
    if not found.texts:
        complain("no picture has a text beside it or in its file, so there is no CLIP score.")
    for line in found.lines():
        write_line(line)
    for name in found.narrow:
        complain(f"{name} sees more features than there are pictures: compare this FID at the same numbers alone.")
    return found.to_dict()


def _write(folder: Path, values: Mapping[str, Any]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / _REPORT, f"{json.dumps(values, indent=1)}\n".encode())
    except OSError as error:
        raise UnrenderError(f"The scores cannot be written to {folder} ({error.strerror})", "name another") from error
    tell_written(folder, _REPORT)
