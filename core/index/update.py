"""Brings an index to what is in its folder: only pictures that are new or have changed are looked at."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..batch import FolderSource
from ..batch.ahead import LookedAt, chunked, opened, readable, usual_jobs
from ..batch.items import Item
from ..describe.asked import check_tells_tags
from ..errors import IndexFileError
from .file import Entry, PictureIndex, changing, index_file, probe_of, read_index, wherever, write_index
from .tagging import with_tags

if TYPE_CHECKING:
    from ..engine import Engine

_KEPT_EVERY_SECONDS = 60.0


@dataclass(frozen=True)
class Updated:
    """index: as it is now, and as its file `path` has it. added: pictures that were looked at. kept: those known
    already, under this name or another. removed: names that are gone. failures: why pictures cannot be read, by name.
    tagged: pictures whose tags are known."""

    index: PictureIndex
    path: Path
    added: int
    kept: int
    removed: int
    failures: dict[str, str]
    tagged: int = 0


def update_index(engine: Engine, folder: str | os.PathLike[str], path: Path | None = None) -> Updated:
    """Makes or updates the index of a folder and the folders below it.

    path: its file, by default in the folder itself. A picture is taken for unchanged where name, size and time are, or
    its bytes. Stopped at any time, what was looked at is in the file or lost for a minute's work at most.
    Where the engine has a tagger, each picture's tags are kept too; without one, those that are known stay.
    Raises SettingsError (no folder), IndexFileError (damaged, made with another model, not writable, being changed),
    ModelError, MissingPackageError, or Cancelled; a picture that cannot be read is left out and told.
    """
    if engine.settings.tagger is not None:
        check_tells_tags(engine.settings)
        engine.check("tags")
    root = Path(folder)
    items = list(FolderSource(root, recursive=True))
    path = path or index_file(root)
    if path.is_dir():
        raise IndexFileError(f"{path} is a folder", "name a file for the index")
    with changing(path):
        known = read_index(path) if path.exists() else None
        if known is not None:
            known.check(engine)
        draft = _Draft(engine, root, path, known)
        fresh = [item for item in items if not draft.knows(item)]
        draft.kept = len(items) - len(fresh)
        try:
            draft.look_at(fresh)
        finally:  # what was seen until a stop is kept
            index = draft.save()
        failures = draft.failures
        if engine.settings.tagger is not None:
            index, untold = with_tags(engine, index, path)
            failures |= untold
    names = {each.name for each in index.entries}
    gone = 0 if known is None else sum(each.name not in names for each in known.entries)
    tagged = 0 if index.tags is None else int(index.tags.tagged.sum())
    return Updated(index, path, len(index) - draft.kept, draft.kept, gone, failures, tagged)


class _Draft:
    """The rows of the index to come, by name."""

    def __init__(self, engine: Engine, root: Path, path: Path, known: PictureIndex | None) -> None:
        self.kept = 0
        self.failures: dict[str, str] = {}
        self._engine, self._root, self._path = engine, root, path
        self._probe = probe_of(engine) if known is None else known.probe
        self._model = wherever(engine.settings.clip) if known is None else known.model
        entries = () if known is None else known.entries
        self._known = known
        self._by_name = {each.name: row for row, each in enumerate(entries)}
        self._by_digest = {each.digest: row for row, each in enumerate(entries)}
        self._fresh: dict[str, Entry] = {}
        self._rows: dict[str, tuple[Entry, np.ndarray, np.ndarray, int | None]] = {}

    def knows(self, item: Item) -> bool:
        """Takes over what the earlier index has of a picture."""
        if self._known is None:
            return False
        with contextlib.suppress(OSError):  # opening the picture says what is wrong
            entry, row = _stat(item), self._by_name.get(item.name)
            old = None if row is None else self._known.entries[row]
            if old is not None and (old.size, old.modified) == (entry.size, entry.modified):
                entry = old
            else:
                entry = self._fresh[item.name] = _hashed(item, entry)
                row = self._by_digest.get(entry.digest)
            if row is not None:
                self._rows[item.name] = (entry, self._known.features[row], self._known.turned[row], row)
        return item.name in self._rows

    def look_at(self, items: list[Item]) -> None:
        saved = time.monotonic()
        not_turned = np.zeros((3, len(self._probe)), np.float16)
        with self._engine.progress.task("Looking at pictures", len(items), "pictures") as task:
            for chunk in opened(chunked(map(self._noted, items)), usual_jobs()):
                looked_at: list[LookedAt] = []
                if (pictures := readable(chunk, looked_at)) is not None:
                    features = self._engine.picture_features(pictures).numpy()
                    seen = [item.name for item, error in looked_at if error is None]
                    for name, row in zip(seen, features, strict=True):
                        if name in self._fresh:
                            self._rows[name] = (self._fresh[name], row, not_turned, None)
                self.failures |= {item.name: str(error) for item, error in looked_at if error is not None}
                if time.monotonic() - saved > _KEPT_EVERY_SECONDS:
                    self.save()
                    saved = time.monotonic()
                task.advance(len(looked_at))

    def _noted(self, item: Item) -> Item:
        """What the file is before it is decoded: one that changes meanwhile is looked at again next time."""
        if item.name not in self._fresh:
            with contextlib.suppress(OSError):
                self._fresh[item.name] = _hashed(item, _stat(item))
        return item

    def save(self) -> PictureIndex:
        rows = [self._rows[name] for name in sorted(self._rows)]
        width = len(self._probe)
        features = np.stack([each[1] for each in rows]) if rows else np.zeros((0, width), np.float32)
        turned = np.stack([each[2] for each in rows]) if rows else np.zeros((0, 3, width), np.float16)
        entries = tuple(each[0] for each in rows)
        fit = self._engine.settings.fit
        known = None if self._known is None else self._known.tags
        tags = None if known is None else known.taken([each[3] for each in rows])
        index = PictureIndex(self._root, self._model, fit, entries, features, turned, self._probe, tags)
        write_index(self._path, index)
        return index


def _stat(item: Item) -> Entry:
    """Raises OSError, also for what is no regular file and might never end."""
    found = item.file.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{item.name} is not a regular file")
    return Entry(item.name, found.st_size, found.st_mtime_ns, "")


def _hashed(item: Item, entry: Entry) -> Entry:
    digest = hashlib.sha256()
    with item.file.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return Entry(entry.name, entry.size, entry.modified, digest.hexdigest())
