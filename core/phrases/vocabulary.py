"""Vocabularies: named categories of phrases, from the package, a user's folder, or an installed peer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

from ..cures import Choose
from ..errors import PhraseError, TextFileError
from ..foreign import existing, shown
from ..texts import read_known
from .category import NEGATIVE, POSITIVE, Category, Vocabulary, artist_phrases
from .peers import SOURCES

BUILT_IN_FOLDER = Path(__file__).parent / "lists"
# the order in which categories are merged for a search, hence in which ties are broken
CATEGORIES = (*sorted(POSITIVE), NEGATIVE)

FURTHER_FOLDER = BUILT_IN_FOLDER / "further"
"""Lists to analyse pictures with, or to name; a search uses none of them unless it is told to."""
EXTENDED = "extended"

_READING_ORDER = sorted(POSITIVE, key=lambda name: name != "mediums")
_ALIASES = {"trending": "sites", "trendings": "sites", "artist": "artists", "negatives": NEGATIVE}
_FILE_NAME = re.compile(r"(?P<name>.+?)(\.top(?P<top>\d+))?\.txt", re.IGNORECASE)


def load_vocabulary(source: str | PathLike[str] | None = None, base: Path = BUILT_IN_FOLDER) -> Vocabulary:
    """None: the lists in `base`. "extended": those and the further ones. "peer" (or "clip-interrogator"), "clip-gaze":
    those of the installed package. A folder: its files added to those in `base`, each replacing a category of the same
    name.

    Files are `NAME.txt`, or `NAME.topN.txt` as the webui has them (N phrases of it in a classic prompt), one phrase a
    line, see `core.texts`. Artists are written as bare names and become "by NAME" and "inspired by NAME".
    Raises PhraseError when the folder or a file in it is unusable.
    """
    if source in SOURCES:
        return _vocabulary(str(source), SOURCES[str(source)]())
    categories = read_folder(base)
    if source == EXTENDED:
        return _vocabulary(EXTENDED, {**categories, **read_folder(FURTHER_FOLDER)})
    if source is None:
        return _vocabulary(base.parent.name if base != BUILT_IN_FOLDER else "unrender", categories)
    folder = existing(str(source))
    if folder is None:
        raise _no_folder(shown(str(source)))
    return _vocabulary(folder.name, {**categories, **read_folder(folder)})


def read_folder(folder: Path) -> dict[str, Category]:
    """Every phrase file of a folder as a category; PhraseError when there is none."""
    if not folder.is_dir():
        raise _no_folder(str(folder))
    categories = {}
    for path in sorted(folder.iterdir()):
        match = _FILE_NAME.fullmatch(path.name)
        if match and path.is_file():
            category = _read_category(path, category_name(match["name"]), match["top"])
            categories[category.name] = category
    if not categories:
        raise PhraseError(f"{folder} holds no NAME.txt file", "put one phrase a line into files such as flavors.txt")
    return categories


def _no_folder(name: str) -> PhraseError:
    return PhraseError(f"{name} is no folder of phrase files", "give a folder that holds NAME.txt files")


def category_name(name: str) -> str:
    """The name a category goes by, whichever of its usual names was given."""
    name = name.strip().casefold()
    return _ALIASES.get(name, name)


def select_categories(vocabulary: Vocabulary, names: Sequence[str] | None = None) -> list[Category]:
    """The categories of these names, in the vocabulary or else among the further lists; singular and plural, spaces,
    hyphens and underscores are the same. None: all positive ones of the vocabulary, those people ask for first.

    Raises PhraseError, which lists the valid names, for an unknown one, and for none at all.
    """
    if names is None:
        positive = {category.name: category for category in vocabulary.positive()}
        first = [positive.pop(name) for name in _READING_ORDER if name in positive]
        return [*first, *positive.values()]
    known = dict(vocabulary.categories)
    for category, further in read_folder(FURTHER_FOLDER).items():
        known.setdefault(category, further)
    chosen: dict[str, Category] = {}
    for name in names:
        found = next((known[each] for each in known if _is_called(each, name)), None)
        if found is None:
            raise PhraseError(f"There is no category {shown(name)!r}", Choose("categories", tuple(sorted(known))))
        chosen[found.name] = found
    if not chosen:
        raise PhraseError("No category is named", Choose("categories", tuple(sorted(known))))
    return list(chosen.values())


def _is_called(category: str, name: str) -> bool:
    category, name = (
        re.sub(r"[\s_-]+", " ", text).replace("color", "colour") for text in (category, category_name(name))
    )
    singular = name[:-1] + "ies" if name.endswith("y") else name + "es"
    return category in (name, name + "s", singular)


def read_phrases(path: Path) -> tuple[str, ...]:
    """The lines of a phrase file, trimmed, none blank, none twice. Raises PhraseError when it is unusable."""
    try:
        text = read_known(path)
    except TextFileError as error:
        raise PhraseError(error.problem, *error.cures) from error
    phrases = tuple(dict.fromkeys(line for line in (raw.strip() for raw in text.splitlines()) if line))
    if not phrases:
        raise PhraseError(f"{path} holds no phrase", "write one a line or remove the file")
    return phrases


def _read_category(path: Path, name: str, top: str | None) -> Category:
    phrases = read_phrases(path)
    if name == "artists":
        phrases = artist_phrases(phrases)
    return Category(name, phrases, int(top) if top else None)


def _vocabulary(name: str, categories: Mapping[str, Category]) -> Vocabulary:
    known = [category for category in CATEGORIES if category in categories]
    own = sorted(set(categories) - set(CATEGORIES))
    return Vocabulary(name, {category: categories[category] for category in (*known, *own)})
