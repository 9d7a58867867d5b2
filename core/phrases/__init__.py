"""Phrases a prompt can be made of, and their embeddings.

The built-in lists are values here, tuples of phrases that are read when they are first asked for:

ARTISTS             painters, illustrators, photographers and studios, by bare name
MOVEMENTS           schools and styles of art
MEDIUMS             what a picture is, with its article ("an oil on panel painting")
SITES               where pictures are published, in the forms prompts use
FLAVORS             everything else a prompt says

Further lists, which a search uses only when it is told to (`Settings(phrases="extended")`):

PAINTING_MATERIALS  paints, inks, chalks, pigments, binders
PRINTING_TECHNIQUES relief, intaglio, planographic, photographic and office printing
SCULPTURE_MATERIALS stones, clays, metals, woods, plastics, found things ("a sculpture in white marble")
SURFACES            what pictures are made on ("on linen canvas")
TOOLS               what they are made with ("made with a reed pen")
QUALITIES           of skill, finish, likeness, composition, mood and reproduction
LENSES              focal lengths, apertures, aberrations, filters
FILM_STOCKS         photographic and motion picture films, plates and their processing ("shot on Ilford HP5 Plus")
LIGHT               sources, directions, qualities and lighting patterns
DECADES             from prehistory to the far future ("from the 1920s")
AGES                of people, in words and years
EMOTIONS            what a picture may make one feel ("a feeling of wonder")
COLOURS             by name
PALETTES            colours that go together
CAMERA_ANGLES       viewpoints, distances, framings, projections
"""

from __future__ import annotations

from functools import cache

from .category import POSITIVE
from .typed import phrases_in
from .vocabulary import (
    BUILT_IN_FOLDER,
    CATEGORIES,
    FURTHER_FOLDER,
    NEGATIVE,
    Category,
    Vocabulary,
    load_vocabulary,
    read_phrases,
    select_categories,
)

__all__ = [
    "CATEGORIES",
    "FURTHER_CATEGORIES",
    "NEGATIVE",
    "POSITIVE",
    "Category",
    "Vocabulary",
    "load_vocabulary",
    "phrases_in",
    "read_phrases",
    "select_categories",
]

_BUILT_IN = tuple(name.upper() for name in POSITIVE)
FURTHER_CATEGORIES = tuple(sorted(path.stem for path in FURTHER_FOLDER.glob("*.txt")))
"""A list that lies in their folder is one of them."""
FURTHER = tuple(name.upper().replace(" ", "_") for name in FURTHER_CATEGORIES)
"""What they are called as values."""


def __getattr__(name: str) -> tuple[str, ...]:
    if name in _BUILT_IN or name in FURTHER:
        return _phrases(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_BUILT_IN, *FURTHER})


@cache
def _phrases(name: str) -> tuple[str, ...]:
    folder = FURTHER_FOLDER if name in FURTHER else BUILT_IN_FOLDER
    return read_phrases(folder / f"{name.lower().replace('_', ' ')}.txt")
