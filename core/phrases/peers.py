"""The phrase lists of an installed clip-interrogator, read from its files without importing it."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

from ..errors import MissingPackageError
from .vocabulary import NEGATIVE, Category, artist_phrases

_INSTALL = "run `pip install --no-deps clip-interrogator==0.6.0`"


def clip_interrogator_lists() -> dict[str, Category]:
    """Its artists, flavors, mediums, movements, negative and sites, line by line as it reads them itself.

    Raises MissingPackageError when it is not installed or its files are not where version 0.6.0 has them.
    """
    spec = importlib.util.find_spec("clip_interrogator")
    if spec is None or not spec.submodule_search_locations:
        raise MissingPackageError(f"clip-interrogator is not installed; {_INSTALL} for its phrase lists.")
    package = Path(spec.submodule_search_locations[0])
    try:
        lists = {
            name: _lines(package / "data" / f"{name}.txt")
            for name in ("artists", "flavors", "mediums", "movements", NEGATIVE)
        }
        lists["sites"] = _site_forms(package / "clip_interrogator.py")
    except (OSError, ValueError) as error:
        raise MissingPackageError(
            f"The installed clip-interrogator is not as expected ({error}); {_INSTALL}."
        ) from error
    lists["artists"] = artist_phrases(lists["artists"])
    return {name: Category(name, phrases) for name, phrases in lists.items()}


def _lines(path: Path) -> tuple[str, ...]:
    # blank lines and repetitions stay: the peer's chunked ranking counts them
    with path.open(encoding="utf-8", errors="replace") as file:
        return tuple(line.strip() for line in file)


def _site_forms(source: Path) -> tuple[str, ...]:
    sites = _sites(source)
    return (
        *sites,
        *(f"trending on {site}" for site in sites),
        *(f"featured on {site}" for site in sites),
        *(f"{site} contest winner" for site in sites),
    )


def _sites(source: Path) -> list[str]:
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "sites" for t in node.targets):
            return [str(site) for site in ast.literal_eval(node.value)]
    raise ValueError(f"no list of sites in {source.name}")
