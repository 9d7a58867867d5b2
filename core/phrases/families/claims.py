"""Which concepts a text states, by its words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .family import Concept, Family

_ARTICLE = re.compile(r"^(an?|the) ", re.IGNORECASE)
_START = re.compile(r"(?<![\w-])(?:\w+|[^\w\s])")
_WITHIN = re.compile(r"[\w-]")


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
    that overlap the longest counts, so that "white background" is not of white."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._known: dict[str, list[tuple[Family, Concept]]] = {}
        for family in families:
            for concept in family.concepts:
                for wording in concept.wordings:
                    for form in forms(wording):
                        meanings = self._known.setdefault(form, [])
                        if (family, concept) not in meanings:
                            meanings.append((family, concept))
        self._by_start: dict[str, list[str]] = {}  # one pattern of them all would try each at every word
        for form in sorted(self._known, key=lambda form: (-len(form), form)):
            if start := _START.match(form):
                self._by_start.setdefault(start[0], []).append(form)

    def read(self, text: str) -> tuple[Claim, ...]:
        """In the order of the text; of one wording that two families know one of each."""
        return tuple(self._found(text))

    def _found(self, text: str) -> Iterator[Claim]:
        lowered = text.lower()
        if len(lowered) != len(text):  # a letter whose small form is two: places would not be the text's
            lowered = "".join(small if len(small := letter.lower()) == 1 else letter for letter in text)
        end = 0
        for match in _START.finditer(lowered):
            if match.start() < end or (form := self._longest(lowered, match)) is None:
                continue
            end = match.start() + len(form)
            for family, concept in self._known[form]:
                yield Claim(family, concept, form, match.start(), end)

    def _longest(self, text: str, start: re.Match[str]) -> str | None:
        forms_here = self._by_start.get(start[0], ())
        return next((form for form in forms_here if _stands(form, text, start.start())), None)


def _stands(form: str, text: str, place: int) -> bool:
    """Whether it is there and ends where a word does."""
    return text.startswith(form, place) and _WITHIN.match(text, place + len(form)) is None


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
