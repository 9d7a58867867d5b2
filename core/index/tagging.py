"""What a tagger says of each picture of an index."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..batch.ahead import LookedAt, chunked, opened, readable, usual_jobs
from ..batch.items import Item
from .file import PictureIndex, write_index
from .tags import Told, no_tags

if TYPE_CHECKING:
    from ..engine import Engine
    from ..settings import Settings

_KEPT_EVERY_SECONDS = 60.0
_SHORT_SECONDS = 5.0
"""For each call of the engine a GPU's tagger is brought there and back: a call that takes less has twice the pictures
the next time."""


def with_tags(engine: Engine, index: PictureIndex, path: Path) -> tuple[PictureIndex, dict[str, str]]:
    """The index with the tags of all pictures, kept in its file, which `changing` holds; and why pictures cannot be
    read, by name. Those that the engine's tagger has told already, by the same settings, are not looked at again.

    Raises IndexFileError (not writable), ModelError, SettingsError, MissingPackageError, or Cancelled, what was told
    being kept."""
    told_by = _told_by(engine.settings)
    known = index.tags if index.tags is not None and index.tags.told_by == told_by else no_tags(len(index), told_by)
    rows = {index.entries[row].name: row for row in range(len(index)) if not known.tagged[row]}
    if not rows:
        return index, {}
    told, failures, saved = Told(known), dict[str, str](), time.monotonic()
    items = [Item(name, index.path(row)) for name, row in rows.items()]
    at_once = 1
    try:
        with engine.progress.task("Tagging pictures", len(items), "pictures") as task:
            chunks = opened(chunked(items), usual_jobs())
            while rows:
                looked_at, started = list[LookedAt](), time.monotonic()
                pictures = readable(chain.from_iterable(islice(chunks, at_once)), looked_at)
                if pictures is not None:
                    found = [each.tags for each in engine.interrogate_each(pictures, "tags")]
                    seen = [rows[item.name] for item, error in looked_at if error is None]
                    told.fresh.update(zip(seen, found, strict=True))
                failures |= {item.name: str(error) for item, error in looked_at if error is not None}
                for item, _ in looked_at:
                    del rows[item.name]
                if time.monotonic() - started < _SHORT_SECONDS:
                    at_once *= 2
                if time.monotonic() - saved > _KEPT_EVERY_SECONDS:
                    write_index(path, replace(index, tags=told.kept()))
                    saved = time.monotonic()
                task.advance(len(looked_at))
    finally:  # what was told until a stop is kept
        index = replace(index, tags=told.kept())
        write_index(path, index)
    return index, failures


def for_filters(settings: Settings) -> Settings:
    """Tags that a filter may ask for: also what others imply, what no prompt is to hold, and as many as there are."""
    tags = replace(settings.captioning.tags, implied=True, exclude=(), most=None, trigger="")
    captioning = replace(settings.captioning, tags=tags)
    return replace(settings, captioning=captioning, trigger="", prefix="", suffix="")


def _told_by(settings: Settings) -> str:
    """By what tags differ."""
    tagger = settings.tagger or ""
    named = str(Path(tagger).resolve()) if Path(tagger).exists() else tagger
    tags = settings.captioning.tags
    chosen = (tags.general, tags.character, tags.automatic, tags.implied, tags.most, sorted(tags.exclude))
    return json.dumps([named, *chosen])
