"""The names in a folder, and which are free for what is to be called by its prompt."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from pathlib import Path, PurePath

from ..file_names import same_name
from .folders import is_picture
from .names import Numbers, names_of

_Group = tuple[str, int, tuple[str, ...]]
"""Names that differ in their numbers alone: their beginning, how the numbers begin, and what comes after them."""


class FolderNames:
    """The names in a folder, and those planned to be there.

    Equal texts are numbered, and the lowest number that is free is taken. That those below are not is remembered, with
    what holds each, since thousands of pictures may get one prompt."""

    def __init__(self, folder: Path) -> None:
        self._files = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        self._held = {same_name(name) for name in self._files}
        self._by_beginning: dict[str, list[str]] = {}
        for name in sorted(self._files):
            if not is_picture(name):
                for beginning in _beginnings(name):
                    self._by_beginning.setdefault(beginning, []).append(name)
        self._reached: dict[_Group, int] = {}
        self._passed: dict[str, dict[_Group, int]] = {}

    def endings(self, name: str) -> list[str]:
        """What comes after the picture's stem: its own suffix first, then those of the files that belong to it."""
        stem = PurePath(name).stem
        others = [other for other in self._by_beginning.get(stem, []) if other != name and other in self._files]
        return [name[len(stem) :], *(other[len(stem) :] for other in others)]

    def free_stem(self, text: str, endings: Sequence[str], own: Collection[str] = ()) -> str:
        """TEXT, TEXT (2), TEXT (3), ..., the first that is free with each of the endings, and short enough. own: names
        that the picture has itself, and may keep."""
        longest = max(endings, key=lambda ending: len(os.fsencode(ending)))
        held = {same_name(name) for name in own}
        found = (self._free(numbers, tuple(endings), held) for numbers in names_of(text, longest))
        return next(stem for stem in found if stem is not None)

    def take(self, moves: Sequence[tuple[str, str]]) -> None:
        """Old names and new ones."""
        self._files -= {old for old, _ in moves}
        news = {same_name(new) for _, new in moves}
        gone = {same_name(old) for old, _ in moves} - news
        self._held -= gone
        self._held |= news
        for name in gone:
            for group, number in self._passed.pop(name, {}).items():
                self._reached[group] = min(self._reached[group], number)

    def _free(self, numbers: Numbers, endings: tuple[str, ...], own: Collection[str]) -> str | None:
        group = (same_name(numbers.stem), numbers.first, endings)
        reached = self._reached.setdefault(group, numbers.first)
        kept = [self._passed[name][group] for name in own if group in self._passed.get(name, {})]
        for number in chain(sorted(each for each in kept if each < reached), range(reached, numbers.last + 1)):
            stem = numbers.name(number)
            holders = [name for name in (same_name(stem + ending) for ending in endings) if name in self._held]
            if all(name in own for name in holders):
                return stem
            if number >= reached:
                holder = next(name for name in holders if name not in own)
                self._passed.setdefault(holder, {})[group] = number
                self._reached[group] = number + 1
        return None


def _beginnings(name: str) -> Iterator[str]:
    """Of "a.b.txt" the stems of the pictures that it may belong to: "a" and "a.b"."""
    place = name.find(".", 1)
    while place > 0:
        yield name[:place]
        place = name.find(".", place + 1)
