"""Varied pictures that show where a CLIP's pictures lie: those of a generation, or those of the webui's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .file_keys import key_of

if TYPE_CHECKING:
    from ..core.embed.gap import GapCorrection
    from ..core.engine import Engine

FOLDER = "gap_pictures"
"""In the webui's folder for models of ours: pictures there serve every generation that gives none."""


def in_folder(models: Path) -> list[Path]:
    """As many as are of use."""
    from ..core.batch.folders import is_picture
    from ..core.embed.gap import ENOUGH_PICTURES

    return [path for path in sorted((models / FOLDER).glob("*")) if is_picture(path.name)][:ENOUGH_PICTURES]


class Gaps:
    """The gap that was measured last, which is nearly always asked for again."""

    def __init__(self) -> None:
        self._last: tuple[Any, GapCorrection] | None = None

    def of(self, engine: Engine, clip: str, pictures: Sequence[bytes | Path]) -> GapCorrection | None:
        """Raises what `Engine.measure_gap` does."""
        if not pictures:
            return None
        key = (clip, key_of(pictures))
        if self._last is None or self._last[0] != key:
            self._last = key, engine.measure_gap(list(pictures))
        return self._last[1]
