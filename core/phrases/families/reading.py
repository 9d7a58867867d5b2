"""Families from text files.

    about: when in the day it is
    excludes: yes
    always: no
    category: flavors

    # remarks begin with a hash
    night: at night, at midnight, under the night sky
    noon: at noon, in the midday sun

The file's name is the family's. The head's last line may be left out (see `Family`). After the head and a blank line
each line is a concept: its name, a colon, and its wordings with commas between them. A name is not a wording unless it
stands among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path

from ...errors import PhraseError, TextFileError
from ...foreign import existing
from ...micro import FAMILIES_FOLDER
from ...texts import read_known
from ..peers import SOURCES
from ..vocabulary import EXTENDED, category_name
from .family import FLAVORS, Concept, Family

BUILT_IN_FAMILIES = Path(__file__).parent / "built_in"
FOLDER = "families"
"""Where a user's folder of phrases has its own."""
_HEAD = ("about", "excludes", "always")
_CATEGORY = "category"
_ANSWERS = {"yes": True, "no": False}
_EXAMPLE = 'write lines such as "night: at night, at midnight"'


def load_families(phrases: str | PathLike[str] | None = None, base: Path = BUILT_IN_FAMILIES) -> tuple[Family, ...]:
    """Those in `base`, and those in the folder `families` of a folder of phrases, each of which replaces the one of
    the same name. phrases: as `Settings.phrases` names a vocabulary. Raises PhraseError."""
    place = _own_folder(phrases)
    own = read_families(place / FOLDER) if place is not None and (place / FOLDER).is_dir() else ()
    return tuple({family.name: family for family in (*read_families(base), *own)}.values())


def own_files(phrases: str | PathLike[str] | None) -> list[Path]:
    """What is read of a folder of phrases, lists and families: files that a person may change at any time. Empty
    for other vocabularies."""
    place = _own_folder(phrases)
    return [] if place is None else [*texts_in(place), *texts_in(place / FOLDER)]


def texts_in(folder: Path) -> list[Path]:
    """Its text files, in either case; none where there is no such folder."""
    found = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in found if path.suffix.lower() == ".txt" and path.is_file())


def _own_folder(phrases: str | PathLike[str] | None) -> Path | None:
    return None if phrases is None or phrases in (*SOURCES, EXTENDED) else existing(str(phrases))


def families_for(phrases: str | PathLike[str] | None, micro: bool) -> tuple[Family, ...]:
    """The same for a CLIP. micro: whether it is the toy, which knows the answers of its own small world alone."""
    return load_families(phrases, FAMILIES_FOLDER if micro else BUILT_IN_FAMILIES)


def read_families(folder: Path) -> tuple[Family, ...]:
    """Every file of a folder, by name. Raises PhraseError for one that is not as it should be."""
    return tuple(_read(path) for path in texts_in(folder))


def _read(path: Path) -> Family:
    try:
        text = read_known(path)
    except TextFileError as error:
        raise PhraseError(error.problem, *error.cures) from error
    head, _, rest = text.replace("\r\n", "\n").partition("\n\n")
    said = dict(_named(path, enumerate(head.split("\n"), 1)))
    category = category_name(said.pop(_CATEGORY, FLAVORS))
    if list(said) != list(_HEAD):
        raise PhraseError(f"{path} does not begin with {', '.join(_HEAD)}", "write a line of each, then a blank one")
    concepts = tuple(_concepts(path, rest.split("\n"), head.count("\n") + 3))
    if len(concepts) < 2:
        raise PhraseError(f"{path} holds fewer than two concepts", _EXAMPLE)
    excludes, always = (_answer(path, said, name) for name in _HEAD[1:])
    return Family(path.stem.replace("_", " "), said["about"], excludes, always, concepts, category)


def _answer(path: Path, said: dict[str, str], name: str) -> bool:
    if said[name] not in _ANSWERS:
        raise PhraseError(f"{path} has {name}: {said[name]!r}", "write yes or no")
    return _ANSWERS[said[name]]


def _concepts(path: Path, lines: Sequence[str], start: int) -> Iterator[Concept]:
    names: set[str] = set()
    known: dict[str, str] = {}
    for name, value in _named(path, enumerate(lines, start)):
        wordings = tuple(dict.fromkeys(" ".join(part.split()) for part in value.split(",") if part.strip()))
        twice = next((each for each in wordings if each.casefold() in known), None)
        if name in names or not wordings or twice is not None:
            said = (
                f"says {twice!r} of {name} and of {known[twice.casefold()]}" if twice else f"has {name!r} twice or bare"
            )
            raise PhraseError(f"{path} {said}", "let each wording mean one concept of a family")
        names.add(name)
        known |= {each.casefold(): name for each in wordings}
        yield Concept(name, wordings)


def _named(path: Path, lines: Iterator[tuple[int, str]]) -> Iterator[tuple[str, str]]:
    for number, line in lines:
        if not line.strip() or line.startswith("#"):
            continue
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise PhraseError(
                f"Line {number} of {path} has no name before a colon", 'write "night: at night, at midnight"'
            )
        yield name.strip(), value.strip()
