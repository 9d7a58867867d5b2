"""What a CLIP sees in each picture of an index when it is turned by a quarter, a half, and three quarters."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from ..batch.ahead import LookedAt, chunked, opened, readable, usual_jobs
from ..batch.items import Item
from .file import PictureIndex, write_index

if TYPE_CHECKING:
    from ..engine import Engine

LEFT = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
"""By 90, 180 and 270 degrees to the left, as Pillow names them."""

_KEPT_EVERY_SECONDS = 60.0


def with_turns(engine: Engine, index: PictureIndex, path: Path) -> tuple[PictureIndex, dict[str, str]]:
    """The index with all turned views, kept in its file, which `changing` holds; and why pictures cannot be read, by
    name: their rows of `turned` stay zeros. Raises IndexFileError (not writable), ModelError, or Cancelled, what was
    seen being kept."""
    turned = index.turned.copy()
    missing = [row for row in range(len(index)) if not turned[row].any()]
    if not missing:
        return index, {}
    full = replace(index, turned=turned)
    rows = {index.entries[row].name: row for row in missing}
    failures: dict[str, str] = {}
    saved = time.monotonic()
    items = [Item(name, index.path(row)) for name, row in rows.items()]
    try:
        with engine.progress.task("Turning pictures", len(items), "pictures") as task:
            for chunk in opened(chunked(items), usual_jobs()):
                looked_at: list[LookedAt] = []
                if (pictures := readable(chunk, looked_at)) is not None:
                    features = engine.picture_features(each.transpose(turn) for each in pictures for turn in LEFT)
                    seen = [rows[item.name] for item, error in looked_at if error is None]
                    turned[seen] = features.numpy().reshape(len(seen), len(LEFT), -1)
                failures |= {item.name: str(error) for item, error in looked_at if error is not None}
                if time.monotonic() - saved > _KEPT_EVERY_SECONDS:
                    write_index(path, full)
                    saved = time.monotonic()
                task.advance(len(looked_at))
    finally:  # what was seen until a stop is kept
        write_index(path, full)
    return full, failures
