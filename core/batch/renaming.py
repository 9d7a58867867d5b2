"""Pictures whose file names become their prompts: renamed, which can be undone, or copied."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from ..errors import BatchError, SettingsError
from ..file_names import same_name
from ..files import is_inside
from .append import writing
from .folder_names import FolderNames
from .items import Item, Outcome
from .journal import outcomes, refuse_anothers, strange
from .lock import folder_lock
from .sinks import Chosen, FilesSink
from .template import Template

UNDO_NAME = "unrender-undo.jsonl"

Move = tuple[str, str]
"""A file's name before and after, relative to the journal."""


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
        """Raises SettingsError for pictures that are no files of their own, or elsewhere: a journal tells of nothing
        outside its folder."""
        for folder in {item.file.parent: None for item in items}:
            if not is_inside(self.place, folder / "picture"):
                raise SettingsError(f"Pictures in {folder} are outside of {self.place}", "rename each folder by itself")

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
        if (folder := self._folders.get(path.parent)) is None:
            folder = self._folders[path.parent] = FolderNames(path.parent)
        endings = folder.endings(path.name)
        stem = folder.free_stem(self._template.fill(outcome), endings, [path.stem + ending for ending in endings])
        folder.take([(path.stem + ending, stem + ending) for ending in endings])
        moves = [(path.with_name(path.stem + ending), path.with_name(stem + ending)) for ending in endings]
        told = [[self._told(old), self._told(new)] for old, new in moves]
        return {"moves": told, "moved": told[0][1]}

    def shown(self, outcome: Outcome) -> str:
        return outcome.plan["moved"]

    def knows(self, plan: Mapping[str, Any]) -> bool:
        moves = _moves(plan)
        return bool(moves) and plan.get("moved") == moves[0][1] and not _elsewhere(self.place, moves)

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


class CopySink(FilesSink):
    """Copies each picture into a folder, under its prompt's name."""

    output = "copy"
    plans = ("copy",)
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
        name = self._names.free_stem(self._template.fill(outcome), [item.suffix]) + item.suffix
        self._names.take([(name, name)])
        return {"copy": name}

    def knows(self, plan: Mapping[str, Any]) -> bool:
        if not super().knows(plan):
            return False
        name = plan["copy"]
        return PurePath(name).name == name and is_inside(self.place, self.place / name)

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
        moves = _noted_moves(journal)
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


def _noted_moves(journal: Path) -> list[Move]:
    """All of them, or none where one leads out of the journal's folder. Raises BatchError."""
    refuse_anothers(journal)
    moves: list[Move] = []
    for outcome in outcomes(journal):
        found = _moves(outcome.plan)
        if found is None:
            raise strange(journal, f'What {journal} tells of "{outcome.name}"')
        moves += found
    if not moves:
        raise BatchError(f"{journal} tells of no renamed picture", f"give the {UNDO_NAME} of a run that renamed")
    if names := _elsewhere(journal.parent, moves):
        problem = f"{journal} tells of {names[0]}, which is not in its folder; nothing was moved"
        raise BatchError(problem, f"give the {UNDO_NAME} of a run that renamed there")
    return moves


def _moves(plan: Mapping[str, Any]) -> list[Move] | None:
    """Of a plan out of a journal: old and new names, each two in one folder; None where they are of no such form."""
    moves = plan.get("moves", [])
    if not isinstance(moves, list):
        return None
    pairs = [tuple(move) for move in moves if isinstance(move, list) and len(move) == 2]
    told = len(pairs) == len(moves) and all(isinstance(name, str) and name for pair in pairs for name in pair)
    return pairs if told and all(PurePath(old).parent == PurePath(new).parent for old, new in pairs) else None


def _elsewhere(place: Path, moves: Iterable[Move]) -> list[str]:
    """The names that lead out of a folder, also through links. What a journal tells is relative to its own."""
    return [name for move in moves for name in move if Path(name).anchor or not is_inside(place, place / name)]


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
