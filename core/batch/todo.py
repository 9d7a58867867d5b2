"""Which pictures of a source are left to do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..cures import Give
from ..errors import BatchError, ImageError, SettingsError
from ..files import is_inside
from ..places import are_one
from .folders import Source
from .items import Item, Outcome
from .journal import Past
from .shards import Shard
from .sinks import Sink

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Todo:
    """In a source's order. pending: of the chunk that was begun, with outcomes in the journal. remaining: not looked at
    yet. failed_before: in earlier chunks, tried once more. skipped: how many need no prompt. known: by name, those of
    the source that are in the journal. root: the source's."""

    pending: list[Item]
    remaining: list[Item]
    failed_before: list[Item]
    skipped: int
    known: Mapping[str, Item]
    root: Path

    @property
    def total(self) -> int:
        return len(self.remaining) + len(self.failed_before)


def todo(source: Source, sink: Sink, shard: Shard, past: Past) -> Todo:
    """Raises what the source raises, and BatchError for a journal that leads elsewhere."""
    known: dict[str, Item] = {}
    remaining: list[Item] = []
    failed: list[Item] = []
    skipped = 0
    for item in told_apart(source, sink, past):
        if not shard.holds(item.name):
            continue
        if item.name in past.pending or item.name in past.done:
            known[item.name] = item
            continue
        if item.name in past.failures:
            failed.append(item)
        elif sink.skips(item):
            skipped += 1
        else:
            remaining.append(item)
    pending = [known.get(name) or as_noted(past.pending[name], source.root, sink) for name in past.pending]
    return Todo(pending, remaining, failed, skipped, known, source.root)


def told_apart(source: Source, sink: Sink, past: Past) -> Iterator[Item]:
    """Each name once, nothing that an earlier run has moved here, and none for what is another's already.

    Raises what the source raises, and SettingsError."""
    made = None if sink.produces is None else Path(_plain(sink.produces))
    if made is not None and (root := Path(_plain(source.root))).is_relative_to(made):
        raise SettingsError(f"{made} holds the pictures themselves ({root})", Give("place", "another folder"))
    written = getattr(sink, "path", None)
    for read in getattr(source, "reads", ()):
        if isinstance(written, Path) and are_one(written, read):
            raise SettingsError(f"{read} is read itself and would be replaced", "name another file")
    names: set[str] = set()
    moved = {Path(_plain(sink.place / name)) for name in past.moved}
    owners: dict[Path, str] = {}
    for item in source:
        path = None if item.path is None else Path(_plain(item.path))
        if item.name in names or path in moved or (path and made and path.is_relative_to(made)):
            continue
        names.add(item.name)
        target = sink.target(item)
        owner = item.name if target is None else owners.setdefault(target, item.name)
        yield item if owner == item.name else _SecondOwner(item.name, item.path, f"{target} belongs to {owner}")


def _plain(path: Path) -> str:
    """Absolute and without "..", links left as they are: two links to one file are two pictures."""
    return os.path.normpath(path.absolute())


def as_noted(outcome: Outcome, root: Path, sink: Sink) -> Item:
    """A picture that the source does not list any more, since it was moved, or is gone. Raises BatchError where the
    journal has it elsewhere: nothing is done there that the source does not ask for."""
    moved = outcome.plan.get("moved")
    folder, name = (root, outcome.name) if moved is None else (sink.place, str(moved))
    if not is_inside(folder, folder / name):
        problem = f'{sink.journal} tells of "{name}", which is neither in {folder} nor in the source'
        raise BatchError(problem, "move it away to begin anew")
    return Item(outcome.name, folder / name)


@dataclass(frozen=True)
class _SecondOwner(Item):
    reason: str = ""

    def open(self) -> Image:
        raise ImageError(f'"{self.name}" gets nothing because {self.reason}', "give it another name")
