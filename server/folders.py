"""The folders in which a page's visitors may name files: those that whoever started the program allows."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import SettingsError
from ..core.file_names import pasted
from ..core.settings import Settings

ALLOW = "name one that is, or start this program with --allow and that folder"


@dataclass(frozen=True)
class Folders:
    """roots: the folders, with all that is below them and not hidden; None for any place, where a host leaves that to
    its own logins. cure: what helps who may not name a place.
    """

    roots: tuple[Path, ...] | None
    cure: str = ALLOW

    @classmethod
    def of(cls, paths: Iterable[Path], cure: str = ALLOW) -> Folders:
        return cls(tuple(path.expanduser().resolve() for path in paths), cure)

    def checked(self, text: str) -> Path:
        """A place that a visitor named. Raises SettingsError for what is not in the folders once its links are
        followed, and for what is neither a file nor a folder, such as a device."""
        text = pasted(text)
        shown = text[:200]
        try:
            path = Path(text).expanduser()
            real = path.resolve()
            special = _is_special(real)
        except (OSError, RuntimeError, ValueError):
            raise SettingsError(f"{shown!r} is no place", "name a folder or a file") from None
        if not self._hold(real):
            raise SettingsError(f"{shown} is in no folder that this page may use", self.cure)
        if special:
            raise SettingsError(f"{shown} is neither a file nor a folder", "name one")
        return path

    def hold(self, path: Path) -> bool:
        """Whether a path, with its links followed, is one that `checked` takes."""
        try:
            real = path.resolve()
            return self._hold(real) and not _is_special(real)
        except (OSError, RuntimeError, ValueError):
            return False

    def check_model(self, name: str) -> None:
        """Whether a visitor may name a model so: by a name, or by a place in the folders. Raises SettingsError."""
        if self.roots is not None and _names_a_place(name):
            self.checked(name)

    def check(self, asked: Settings, usual: Settings) -> None:
        """Whether a visitor may choose those models and phrases. What is usual was chosen by who started the program,
        and an own vocabulary comes as its path, from the list of them. Raises SettingsError."""
        known = _names(usual)
        for name in _names(asked):
            if isinstance(name, str) and name not in known:
                self.check_model(name)

    def _hold(self, path: Path) -> bool:
        return self.roots is None or any(_is_below(path, root) for root in self.roots)


ANYWHERE = Folders(None)


def _names(settings: Settings) -> tuple[object, ...]:
    """That may be places."""
    return settings.clip, settings.captioner, settings.tagger, *settings.rivals, settings.phrases


def _is_below(path: Path, root: Path) -> bool:
    if not path.is_relative_to(root):
        return False
    return not any(part.startswith(".") for part in path.relative_to(root).parts)


def _is_special(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _names_a_place(name: str) -> bool:
    """A model's name on the hub looks like a file's in the folder at hand; where there is none it is the hub's."""
    text = pasted(name)
    try:
        path = Path(text).expanduser()
        return path.is_absolute() or ".." in path.parts or path.exists()
    except (OSError, RuntimeError, ValueError):
        return True


def allowed(given: Sequence[str], for_strangers: bool) -> Folders:
    """given: the folders that were allowed by name. for_strangers: whether these are all, or the one that the program
    was started in is another. Raises SettingsError for what is no folder."""
    for folder in given:
        if not Path(folder).expanduser().is_dir():
            raise SettingsError(f"There is no folder {folder}", "check the path")
    usual = [] if for_strangers else [Path.cwd()]
    return Folders.of([*usual, *map(Path, given)])
