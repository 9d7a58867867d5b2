"""Pictures as files: in folders, and named one by one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from functools import cache
from itertools import islice
from pathlib import Path, PurePath
from typing import Protocol

from ..errors import SettingsError
from ..foreign import shown
from .items import Item

_WITH_PLUGINS = (".avif", ".heic", ".heif")


class Source(Protocol):
    """Gives items in the same order on every run. root: the folder it is about, where notes and outputs belong.

    One that is a file itself, or several, has them as `reads`: no output may replace them."""

    root: Path

    def __iter__(self) -> Iterator[Item]:
        """Raises SettingsError or BatchError where the source cannot be read."""
        ...


class FolderSource:
    """The pictures in a folder, by their files' suffixes; hidden ones are left out.

    recursive: those in folders below it too. pattern: of the names, such as "*.jpg", where only some are meant.
    Raises SettingsError where there is no such folder.
    """

    def __init__(self, root: str | os.PathLike[str], recursive: bool = False, pattern: str = "*") -> None:
        self.root = Path(root)
        if not os.path.isdir(root):  # noqa: PTH112  unlike pathlib's, no error where nothing can have the name
            raise SettingsError(f"There is no folder {shown(str(root), 500)}", "check the path")
        self._recursive = recursive
        self._pattern = pattern

    def below(self, most: int) -> int:
        """How many pictures lie in folders below it and are left out; most: to count."""
        if self._recursive:
            return 0
        everywhere = FolderSource(self.root, True, self._pattern)._names()
        return sum(1 for _ in islice((name for name in everywhere if "/" in name), most))

    def __iter__(self) -> Iterator[Item]:
        names = sorted(self._names())
        return (Item(name, self.root / name) for name in names)

    def _names(self) -> Iterator[str]:
        for folder, below, files in os.walk(self.root):
            below[:] = [name for name in below if not name.startswith(".")] if self._recursive else []
            for name in files:
                if is_picture(name) and fnmatch(name, self._pattern):
                    yield (Path(folder) / name).relative_to(self.root).as_posix()


class FilesSource:
    """Pictures named one by one, whatever their suffix. root: what their names are relative to, if they are below."""

    def __init__(self, paths: Iterable[str | os.PathLike[str]], root: Path) -> None:
        self.root = root
        self._paths = [Path(path) for path in paths]

    def __iter__(self) -> Iterator[Item]:
        return (Item(_name(path, self.root), path) for path in self._paths)


class JoinedSource:
    """Several sources one after the other. Names are told apart by each source's own folder."""

    def __init__(self, sources: Sequence[Source]) -> None:
        if not sources:
            raise SettingsError("There is no source", "name a folder")
        self.parts = tuple(sources)
        self.root = sources[0].root
        self.reads = tuple(path for source in sources for path in getattr(source, "reads", ()))

    def __iter__(self) -> Iterator[Item]:
        for source in self.parts:
            for item in source:
                yield item if len(self.parts) == 1 else replace(item, name=item.name_among_sources(source.root))


@cache
def picture_suffixes() -> frozenset[str]:
    """Of the formats that are read, in small letters with their dots."""
    from PIL import Image

    from ..images import formats

    known = {suffix for suffix, name in Image.registered_extensions().items() if name in formats.READABLE}
    return frozenset(known | set(_WITH_PLUGINS))


def is_picture(name: str) -> bool:
    """By its suffix; hidden files are none."""
    return not name.startswith(".") and PurePath(name).suffix.lower() in picture_suffixes()


def _name(path: Path, root: Path) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.as_posix()
