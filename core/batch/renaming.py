"""Pictures whose file names become their prompts: renamed, which can be undone, or copied."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from ..errors import BatchError
from .append import writing
from .folders import is_picture
from .items import Item, Outcome
from .journal import outcomes
from .lock import folder_lock
from .names import numbered, same_name
from .sinks import Chosen, FilesSink
from .template import Template

UNDO_NAME = "unrender-undo.jsonl"


class RenameSink(FilesSink):
    """Renames each picture, in its folder, and what belongs to it by name: PICTURE.txt, PICTURE.json and the like.

    The run's journal says what was called how and is what `undo` takes; it is never removed.
    """

    output = "rename"
    summary = "the pictures' own names"
    details = "the pictures get their prompts as names, and what belongs to them by name too"
    undoable = True
    chooses_names = True

    def __init__(self, root: Path, template: Template | None = None) -> None:
        super().__init__(root, self.output)
        self._template = template or Template()
        self._folders: dict[Path, FolderNames] = {}

    @classmethod
    def of(cls, chosen: Chosen) -> RenameSink:
        return cls(chosen.place, chosen.template)

    @property
    def journal(self) -> Path:
        return self.place / UNDO_NAME

    @property
    def asked(self) -> Mapping[str, Any]:
        return {"template": self._template.text}

    def make_way(self, items: Sequence[Item]) -> None:
        """Raises SettingsError for pictures that are no files of their own."""
        for item in items:
            _ = item.file

    def clear(self) -> None:
        """What an earlier run can be undone with keeps its place under a number."""
        if not self.journal.exists() or not any(outcome.plan for outcome in outcomes(self.journal)):
            return
        number = 1
        while (kept := self.journal.with_stem(f"{self.journal.stem}-{number}")).exists():
            number += 1
        with writing(kept):
            self.journal.rename(kept)

    def plan(self, item: Item, outcome: Outcome) -> Mapping[str, Any]:
        path = item.file
        folder = self._folders.setdefault(path.parent, FolderNames(path.parent))
        endings = folder.endings(path.name)
        longest = max(endings, key=lambda ending: len(os.fsencode(ending)))
        own = {same_name(path.stem + ending) for ending in endings}

        def is_taken(name: str) -> bool:
            names = [name.removesuffix(longest) + ending for ending in endings]
            return any(folder.holds(each) and same_name(each) not in own for each in names)

        stem = numbered(self._template.fill(outcome), longest, is_taken).removesuffix(longest)
        moves = [(path.with_name(path.stem + ending), path.with_name(stem + ending)) for ending in endings]
        folder.take(moves)
        told = [[self._told(old), self._told(new)] for old, new in moves]
        return {"moves": told, "moved": told[0][1]}

    def shown(self, outcome: Outcome) -> str:
        return outcome.plan["moved"]

    def write(self, item: Item, outcome: Outcome) -> None:
        for old, new in outcome.plan["moves"]:
            _move(self.place / old, self.place / new)
            self.moved(self.place / new)

    def _told(self, path: Path) -> str:
        """Relative to the journal, so that both can be moved together."""
        try:
            return Path(os.path.relpath(path, self.place)).as_posix()
        except ValueError:  # another drive
            return path.absolute().as_posix()


class FolderNames:
    """The names in a folder, and those planned to be there."""

    def __init__(self, folder: Path) -> None:
        self._files = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        self._held = {same_name(name) for name in self._files}
        self._by_stem: dict[str, list[str]] = {}
        for name in sorted(self._files):
            self._by_stem.setdefault(name.split(".")[0], []).append(name)

    def holds(self, name: str) -> bool:
        return same_name(name) in self._held

    def endings(self, name: str) -> list[str]:
        """What comes after the picture's stem: its own suffix first, then those of the files that belong to it."""
        stem = PurePath(name).stem
        own = name[len(stem) :]
        others = [other for other in self._by_stem.get(name.split(".")[0], []) if other != name]
        return [own, *(other[len(stem) :] for other in others if _belongs(other, stem) and other in self._files)]

    def take(self, moves: Sequence[tuple[Path, Path]]) -> None:
        for old, new in moves:
            self._files.discard(old.name)
            self._held.discard(same_name(old.name))
            self._held.add(same_name(new.name))


class CopySink(FilesSink):
    """Copies each picture into a folder, under its prompt's name."""

    output = "copy"
    summary = "copies under such names"
    details = "copies that have their prompts as names"
    where = "folder"
    chooses_names = True

    def __init__(self, folder: Path, template: Template | None = None) -> None:
        super().__init__(folder, self.output)
        self.produces = folder
        self._template = template or Template()
        self._names: FolderNames | None = None

    @classmethod
    def of(cls, chosen: Chosen) -> CopySink:
        return cls(chosen.place, chosen.template)

    @property
    def asked(self) -> Mapping[str, Any]:
        return {"template": self._template.text}

    def plan(self, item: Item, outcome: Outcome) -> Mapping[str, Any]:
        self._names = self._names or FolderNames(self.place)
        name = numbered(self._template.fill(outcome), item.suffix, self._names.holds)
        self._names.take([(Path(name), Path(name))])
        return {"copy": name}

    def shown(self, outcome: Outcome) -> str:
        return outcome.plan["copy"]

    def write(self, item: Item, outcome: Outcome) -> None:
        self.put(self.place / outcome.plan["copy"], item.read())


def undo(journal: Path) -> tuple[int, list[str]]:
    """Gives every file that a run renamed its name back, the last one first; may be repeated after a kill.

    Returns how many files have their name back, and a sentence for each that has not; without any, the journal goes.
    Raises BatchError where the file is no such journal or another run is at work there.
    """
    if not journal.is_file():
        raise BatchError(f"There is no file {journal}", f"give the {UNDO_NAME} of a run that renamed")
    place = journal.parent
    with folder_lock(place):
        moves = [move for outcome in outcomes(journal) for move in outcome.plan.get("moves", [])]
        if not moves:
            raise BatchError(f"{journal} tells of no renamed picture", f"give the {UNDO_NAME} of a run that renamed")
        complaints = []
        for old, new in reversed(moves):
            try:
                _move(place / new, place / old)
            except OSError as error:
                complaints.append(f"{place / new} does not get its name {old} back ({error.strerror}).")
        if not complaints:
            with writing(journal):
                journal.unlink()
    return len(moves) - len(complaints), complaints


def _move(old: Path, new: Path) -> None:
    """Never over a file that is there. Harmless where it was done already. Raises OSError."""
    there = os.path.lexists(new)
    if not os.path.lexists(old):
        if there:
            return
        raise FileNotFoundError(2, "the file is gone", str(old))
    if there and not _is_one_file(old, new):
        raise FileExistsError(17, "a file of the new name is there", str(new))
    old.rename(new)


def _is_one_file(old: Path, new: Path) -> bool:
    """Names that a file system takes for one, such as A and a."""
    return same_name(old.name) == same_name(new.name) and old.parent == new.parent and old.samefile(new)


def _belongs(name: str, stem: str) -> bool:
    return name.startswith(f"{stem}.") and not is_picture(name)
