"""Where results go: looked at before the work that makes them, when nothing is made or touched."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from .errors import SettingsError
from .files import refuse_endless


def check_file(path: Path, sources: Iterable[str | os.PathLike[str]] = (), *, replaced: bool = False) -> None:
    """Whether a file can be written, and is none of those that the work reads. replaced: by a new one, as a whole, for
    which the folder has to be writable. Raises SettingsError."""
    path = path.expanduser()
    folder = path.absolute().parent
    if os.path.isdir(path):  # noqa: PTH112  unlike pathlib's, no error where a folder above may not be searched
        raise SettingsError(f"{path} cannot be written, because it is a folder", "name a file")
    if not os.path.isdir(folder):  # noqa: PTH112
        raise SettingsError(f"{path} cannot be written, because there is no folder {path.parent}", "make it")
    there = os.path.lexists(path)
    try:
        if path.exists():
            refuse_endless(path.resolve())
    except OSError as error:
        raise SettingsError(f"{path} cannot be written, because {error.strerror}", "name another place") from error
    if not os.access(path if there and not replaced else folder, os.W_OK):
        raise SettingsError(f"{path} cannot be written, because that is not permitted", "name another place")
    if there and any(are_one(path, source) for source in sources):
        raise SettingsError(f"{path} is read itself and would be replaced", "name another file")


def check_folder(path: Path, names: Sequence[str] = (), sources: Iterable[str | os.PathLike[str]] = ()) -> None:
    """Whether a folder can be written, which need not be there yet. names: of the files, where they are known; sources:
    as for `check_file`. Raises SettingsError."""
    path = path.expanduser()
    there = next(each for each in (path, *path.absolute().parents) if os.path.lexists(each))
    if not os.path.isdir(there):  # noqa: PTH112
        raise SettingsError(f"{path} cannot be written, because {there} is no folder", "name another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise SettingsError(f"{path} cannot be written, because {there} may not be", "name another place")
    if there == path:
        read = list(sources)
        for name in names:
            check_file(path / name, read)


def check_picture(path: Path, sources: Iterable[str | os.PathLike[str]] = ()) -> None:
    """As `check_file`, of a picture, whose format its name tells."""
    from PIL import Image

    known = Image.registered_extensions()
    if known.get(path.suffix.casefold()) not in Image.SAVE:
        raise SettingsError(f"{path} has no name of a picture", "give one such as out.png")
    check_file(path, sources)


def are_one(path: Path, other: str | os.PathLike[str]) -> bool:
    """Whether two names are of one file that is there."""
    try:
        return path.samefile(other)
    except OSError:
        return False


def place_from(folder: Path, base: Path, name: str) -> str:
    """What a file below `base`, by this name, is called in a list that lies in `folder`."""
    here, there = os.path.realpath(folder), os.path.realpath(base)
    if here == there or os.path.isabs(name):  # noqa: PTH117
        return name
    path = os.path.join(there, name)  # noqa: PTH118
    try:
        return PurePath(os.path.relpath(path, here)).as_posix()
    except ValueError:  # on another drive
        return PurePath(path).as_posix()
