"""Heat maps as files: where the phrases that an analysis found have their support."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import SettingsError

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.engine import Engine
    from ..core.study.analyze import Analysis

_LETTERS_OF_NAME = 60


def write_explanation(
    engine: Engine, image: Image, name: str, analysis: Analysis, folder: Path, dark: bool
) -> list[Path]:
    """Writes NAME.png, the picture and its heat maps side by side, and NAME-PHRASE.png for each alone.

    Shown are the best phrase of each category, or of a single category all that were found.
    Raises SettingsError where `folder` cannot be written, ModelError for models that do not see by patches.
    """
    from ..core.drawing.overlay import draw_overlay, draw_strip
    from ..core.places import replaced

    found = analysis.categories
    entries = found[0].top if len(found) == 1 else [category.top[0] for category in found if category.top]
    maps = engine.explain(image, list(dict.fromkeys(entry.phrase for entry in entries)))
    drawn = {f"{name}.png": draw_strip(image, maps, dark)}
    for heat in maps:
        drawn[f"{name}-{_as_name(heat.phrase)}.png"] = draw_overlay(image, heat, heat.boxes())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, picture in drawn.items():
            with replaced(folder / file) as fresh:
                picture.save(fresh)
    except OSError as error:
        raise SettingsError(f"--explain cannot write to {folder} ({error})", "give another folder") from error
    return [folder / file for file in drawn]


def _as_name(phrase: str) -> str:
    return re.sub(r"\W+", "-", phrase.casefold()).strip("-")[:_LETTERS_OF_NAME] or "phrase"
