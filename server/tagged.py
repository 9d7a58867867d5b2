"""An analysis with a tagger's tags beside what the CLIP sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.engine import Engine
    from ..core.study.analyze import Analysis


def analysed(
    engine: Engine,
    picture: Image,
    categories: Sequence[str] | None,
    top: int = 5,
    families: bool | Sequence[str] | None = None,
) -> Analysis:
    """With tags where the engine's settings name a tagger. Raises what `Engine.analyze` does, SettingsError for one
    that tells no tags."""
    from ..core.describe.asked import check_tells_tags

    tagger = engine.settings.tagger
    check_tells_tags(engine.settings)
    found = engine.analyze(picture, categories, top, families)[0]
    if tagger is None:
        return found
    return replace(found, tags=engine.interrogate(picture, "tags").tags, tagger=tagger)
