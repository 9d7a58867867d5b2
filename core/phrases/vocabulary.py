"""Vocabularies: named categories of phrases, from the package, a user's folder, or an installed peer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from ..errors import PhraseError

BUILT_IN_FOLDER = Path(__file__).parent / "lists"
# the order in which categories are merged for a search, hence in which ties are broken
CATEGORIES = ("artists", "flavors", "mediums", "movements", "sites", "negative")
NEGATIVE = "negative"

_ALIASES = {"trending": "sites", "trendings": "sites", "artist": "artists", "negatives": NEGATIVE}
_FILE_NAME = re.compile(r"(?P<name>.+?)(\.top(?P<top>\d+))?\.txt", re.IGNORECASE)
_LARGEST_FILE = 64 * 2**20


@dataclass(frozen=True)
class Category:
    """per_prompt: how many of its phrases a classic prompt takes; None leaves it to the mode."""

    name: str
    phrases: tuple[str, ...]
    per_prompt: int | None = None


@dataclass(frozen=True)
class Vocabulary:
    """Categories by name, in the order of merging."""

    name: str
    categories: Mapping[str, Category]

    def phrases(self, category: str) -> tuple[str, ...]:
        """Empty for a category this vocabulary does not have."""
        found = self.categories.get(category)
        return found.phrases if found else ()

    def positive(self) -> list[Category]:
        """All that describe what a picture shows."""
        return [category for category in self.categories.values() if category.name != NEGATIVE]


def load_vocabulary(source: str | PathLike[str] | None = None, base: Path = BUILT_IN_FOLDER) -> Vocabulary:
    """None: the lists in `base`. "peer" (or "clip-interrogator"), "clip-gaze": those of the installed package.
    A folder: its files added to those in `base`, each replacing a category of the same name.

    Files are `NAME.txt`, or `NAME.topN.txt` as the webui has them (N phrases of it in a classic prompt), one phrase a
    line, UTF-8. Artists are written as bare names and become "by NAME" and "inspired by NAME".
    Raises PhraseError when the folder or a file in it is unusable.
    """
    from .peers import SOURCES

    if source in SOURCES:
        return _vocabulary(str(source), SOURCES[str(source)]())
    categories = read_folder(base)
    if source is None:
        return _vocabulary(base.parent.name if base != BUILT_IN_FOLDER else "unrender", categories)
    folder = Path(source).expanduser()
    return _vocabulary(folder.name, {**categories, **read_folder(folder)})


def read_folder(folder: Path) -> dict[str, Category]:
    """Every phrase file of a folder as a category; PhraseError when there is none."""
    if not folder.is_dir():
        raise PhraseError(f"{folder} is no folder of phrase files; give a folder that holds NAME.txt files.")
    categories = {}
    for path in sorted(folder.iterdir()):
        match = _FILE_NAME.fullmatch(path.name)
        if match and path.is_file():
            category = _read_category(path, category_name(match["name"]), match["top"])
            categories[category.name] = category
    if not categories:
        raise PhraseError(f"{folder} holds no NAME.txt file; put one phrase a line into files such as flavors.txt.")
    return categories


def category_name(name: str) -> str:
    """The name a category goes by, whichever of its usual names was given."""
    name = name.strip().casefold()
    return _ALIASES.get(name, name)


def artist_phrases(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names in the two forms prompts use; a line that has its form already is taken as it is."""
    formed = [name for name in names if name.casefold().startswith(("by ", "inspired by "))]
    bare = [name for name in names if not name.casefold().startswith(("by ", "inspired by "))]
    return (*formed, *(f"by {name}" for name in bare), *(f"inspired by {name}" for name in bare))


def _read_category(path: Path, name: str, top: str | None) -> Category:
    if path.stat().st_size > _LARGEST_FILE:
        raise PhraseError(f"{path} is larger than 64 MiB; that is no phrase list.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise PhraseError(f"{path} cannot be read as UTF-8 text ({error}); save it as UTF-8.") from error
    phrases = tuple(dict.fromkeys(line for line in (raw.strip() for raw in text.splitlines()) if line))
    if not phrases:
        raise PhraseError(f"{path} holds no phrase; write one a line or remove the file.")
    if name == "artists":
        phrases = artist_phrases(phrases)
    return Category(name, phrases, int(top) if top else None)


def _vocabulary(name: str, categories: Mapping[str, Category]) -> Vocabulary:
    known = [category for category in CATEGORIES if category in categories]
    own = sorted(set(categories) - set(CATEGORIES))
    return Vocabulary(name, {category: categories[category] for category in (*known, *own)})
