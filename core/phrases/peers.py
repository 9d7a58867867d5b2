"""The phrase lists of installed peers, read from their files without importing them."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable
from pathlib import Path

from ..cures import Install
from ..errors import MissingPackageError
from .category import NEGATIVE, Category, artist_phrases

Lists = dict[str, Category]

_CLIP_GAZE_NAMES = {
    "ARTISTS_BY_NAME": "artists",
    "ARTISTS_BY_TRAINING_PREVALENCE": "artists by prevalence",
    "SCULTPURE_MATERIALS": "sculpture materials",  # so spelt there
}


def clip_interrogator_lists() -> Lists:
    """clip-interrogator's artists, flavors, mediums, movements, negative and sites, line by line as it reads them.

    Raises MissingPackageError when it is not installed or its files are not where version 0.6.0 has them.
    """
    return _read("clip-interrogator==0.6.0", "clip_interrogator", _clip_interrogator)


def clip_gaze_lists() -> Lists:
    """clip-gaze's artists, movements, sites, surfaces, tools, materials and techniques, qualities, and its artists by
    how prevalent they were in CLIP's training data. It has no flavors, mediums or negative phrases.

    Raises MissingPackageError when it is not installed or its files are not where version 0.3.0 has them.
    """
    return _read("clip-gaze==0.3.0", "clip_gaze", _clip_gaze)


SOURCES: dict[str, Callable[[], Lists]] = {
    "peer": clip_interrogator_lists,
    "clip-interrogator": clip_interrogator_lists,
    "clip-gaze": clip_gaze_lists,
}
"""What may be named instead of a folder; "peer" is clip-interrogator."""


def _read(requirement: str, package: str, read: Callable[[Path], dict[str, tuple[str, ...]]]) -> Lists:
    name = requirement.partition("=")[0]
    install = Install((requirement,), "--no-deps")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingPackageError(f"{name}, whose phrase lists are asked for, is not installed", install)
    try:
        lists = read(Path(spec.submodule_search_locations[0]))
    except (OSError, ValueError, SyntaxError) as error:
        raise MissingPackageError(f"The installed {name} is not as expected ({error})", install) from error
    return {category: Category(category, phrases) for category, phrases in lists.items()}


def _clip_interrogator(package: Path) -> dict[str, tuple[str, ...]]:
    names = ("artists", "flavors", "mediums", "movements", NEGATIVE)
    lists = {name: _lines(package / "data" / f"{name}.txt") for name in names}
    lists["artists"] = artist_phrases(lists["artists"])
    lists["sites"] = _site_forms(_constants(package / "clip_interrogator.py", ("sites",))["sites"])
    return lists


def _clip_gaze(package: Path) -> dict[str, tuple[str, ...]]:
    lists: dict[str, tuple[str, ...]] = {}
    for module in ("artists_by_name", "artists_by_prevalence", "media", "movements", "qualities", "sites"):
        for name, phrases in _constants(package / f"{module}.py").items():
            lists[_CLIP_GAZE_NAMES.get(name, name.lower().replace("_", " "))] = tuple(dict.fromkeys(phrases))
    lists["artists"] = artist_phrases(lists["artists"])
    return lists


def _lines(path: Path) -> tuple[str, ...]:
    # blank lines and repetitions stay: the peer's chunked ranking counts them
    with path.open(encoding="utf-8", errors="replace") as file:
        return tuple(line.strip() for line in file)


def _constants(source: Path, wanted: tuple[str, ...] = ()) -> dict[str, tuple[str, ...]]:
    """Every variable of a source file that is given a written-out list of texts; ValueError when one is missing."""
    found: dict[str, tuple[str, ...]] = {}
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List):
            texts = [item.value for item in node.value.elts if isinstance(item, ast.Constant)]
            strings = tuple(text for text in texts if isinstance(text, str))
            if strings and len(strings) == len(node.value.elts):
                found.update({target.id: strings for target in node.targets if isinstance(target, ast.Name)})
    absent = set(wanted) - set(found)
    if absent or not found:
        raise ValueError(f"no list {' or '.join(sorted(absent)) or 'of phrases'} in {source.name}")
    return found


def _site_forms(sites: tuple[str, ...]) -> tuple[str, ...]:
    return (
        *sites,
        *(f"trending on {site}" for site in sites),
        *(f"featured on {site}" for site in sites),
        *(f"{site} contest winner" for site in sites),
    )
