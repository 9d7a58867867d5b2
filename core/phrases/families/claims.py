"""Which concepts a text states, by its words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .family import Concept, Family

_ARTICLE = re.compile(r"^(an?|the) ", re.IGNORECASE)
_PART = re.compile(r"[\w-]+|[^\w\s-]")
"""A word, or a mark."""


@dataclass(frozen=True)
class Claim:
    """start, stop: where in the text its wording stands, without an article."""

    family: Family
    concept: Concept
    wording: str
    start: int
    stop: int


class Claims:
    """Finds concepts in texts. Letter case, articles and the plural of a wording's last word do not matter; of wordings
    that overlap the first counts, and of those that begin together the one of most words, so that "white background"
    is not of white."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._meanings: dict[tuple[str, ...], list[tuple[Family, Concept]]] = {}
        for family in families:
            for concept in family.concepts:
                for form in dict.fromkeys(_parts(form) for wording in concept.wordings for form in forms(wording)):
                    self._meanings.setdefault(form, []).append((family, concept))
        lengths: dict[str, set[int]] = {}
        for form in self._meanings:
            lengths.setdefault(form[0], set()).add(len(form))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}

    def read(self, text: str) -> tuple[Claim, ...]:
        """In the order of the text; of one wording that two families know one of each."""
        return tuple(self._found(text))

    def _found(self, text: str) -> Iterator[Claim]:
        places = [match.span() for match in _PART.finditer(text)]
        parts = tuple(text[start:stop].lower() for start, stop in places)
        at = 0
        while at < len(parts):
            lengths = self._lengths.get(parts[at], ())
            count = next((len(some) for each in lengths if (some := parts[at : at + each]) in self._meanings), 0)
            for family, concept in self._meanings[parts[at : at + count]] if count else ():
                start, stop = places[at][0], places[at + count - 1][1]
                yield Claim(family, concept, text[start:stop].lower(), start, stop)
            at += count or 1


def _parts(text: str) -> tuple[str, ...]:
    return tuple(_PART.findall(text))


def forms(wording: str) -> tuple[str, ...]:
    """A wording as texts may have it: without article, and with its last word in the plural."""
    bare = _ARTICLE.sub("", wording.lower())
    return tuple(dict.fromkeys((bare, plural(bare))))


def plural(noun: str) -> str:
    """By the usual rules of English; irregular ones are wordings of their own."""
    if noun.endswith(("s", "x", "z", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return noun[:-1] + "ies"
    return noun + "s"
