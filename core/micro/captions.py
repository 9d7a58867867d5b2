"""Captions of the small picture world: a grammar with free wording, any order, any subset of the factors."""

from __future__ import annotations

import random
import re
from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from .wordings import FILLERS, HELD_OUT_WORDS, WORDS, Wordings
from .world import FACTORS, NO_ARTIST, Scene

ALL_FACTORS = frozenset(FACTORS)
_VOWELS = tuple("aeiou")


class Caption(NamedTuple):
    """A caption and the factors it speaks of."""

    text: str
    factors: frozenset[str]


def random_factors(scene: Scene, rng: random.Random) -> frozenset[str]:
    """The factors a caption might mention: often all, sometimes one. A missing artist is mentioned seldom."""
    draw = rng.random()
    if draw < 0.5:
        chosen = set(FACTORS)
    elif draw < 0.65:
        return frozenset({rng.choice(tuple(FACTORS))})
    else:
        chosen = {factor for factor in FACTORS if rng.random() < 0.6} or {rng.choice(tuple(FACTORS))}
    if scene.artist == NO_ARTIST and rng.random() < 0.7 and len(chosen) > 1:
        chosen.discard("artist")
    return frozenset(chosen)


def caption(
    scene: Scene, rng: random.Random, factors: Collection[str] | None = None, *, held_out: bool = False
) -> Caption:
    """One caption of `scene`: a sentence or a comma list.

    `factors`: what it speaks of (None: drawn by `random_factors`). `held_out`: in wordings and sentence forms that
    training never uses.
    """
    chosen = frozenset(random_factors(scene, rng) if factors is None else factors)
    parts = _Parts(scene, chosen, rng, held_out)
    if held_out:
        return Caption(_held_out_sentence(parts, rng), chosen)
    return Caption(_sentence(parts, rng) if rng.random() < 0.5 else _comma_list(parts, rng), chosen)


def long_caption(scene: Scene, rng: random.Random, phrases: int) -> Caption:
    """A comma list of about `phrases` phrases that says all there is in several wordings, as long prompts do."""
    listed: list[str] = []
    while len(listed) < phrases:
        parts = _Parts(scene, ALL_FACTORS, rng, held_out=False)
        some = [*parts.as_list(), rng.choice(FILLERS)]
        rng.shuffle(some)
        listed += some
    return Caption(", ".join(listed[:phrases]), _factors_in(listed[:phrases]))


def spoken_description(scene: Scene, rng: random.Random) -> str:
    """A sentence on all there is to see, without the artist: what the captioner learns to write."""
    return _sentence(_Parts(scene, ALL_FACTORS - {"artist"}, rng, held_out=False), rng)


def bare_phrases(factor: str, value: str, *, held_out: bool = False) -> tuple[str, ...]:
    """Every wording of one value, alone, as a vocabulary of single phrases would hold it."""
    return (HELD_OUT_WORDS if held_out else WORDS)[factor][value]


def read(text: str) -> dict[str, str]:
    """The value that `text` names for each factor it speaks of. The longest wording wins, then the first."""
    named: dict[str, str] = {}
    for factor, pattern in _patterns().items():
        found = max(pattern[0].finditer(text.lower()), key=lambda match: len(match.group(1)), default=None)
        if found is not None:
            named[factor] = pattern[1][found.group(1)]
    return named


def plural(noun: str) -> str:
    return noun + ("es" if noun.endswith(("s", "x")) else "s")


def with_article(phrase: str) -> str:
    return ("an " if phrase.startswith(_VOWELS) else "a ") + phrase


def without_article(phrase: str) -> str:
    return re.sub(r"^an? ", "", phrase)


class _Parts:
    """The parts of one caption in words: the subject, the place, the medium, the artist; empty where left out."""

    def __init__(self, scene: Scene, factors: frozenset[str], rng: random.Random, held_out: bool) -> None:
        words: Wordings = HELD_OUT_WORDS if held_out else WORDS

        def word(factor: str) -> str:
            return rng.choice(words[factor][scene.value(factor)]) if factor in factors else ""

        self.layout = scene.layout if "layout" in factors else ""
        self.size, self.colour, self.noun = word("layout"), word("colour"), word("shape")
        self.place, self.medium, self.artist = word("background"), word("style"), word("artist")
        self.subject = _subject(self, rng) if factors & {"shape", "colour", "layout"} else ""

    def as_list(self) -> list[str]:
        return [part for part in (self.subject, self.place, self.medium, self.artist) if part]


def _subject(parts: _Parts, rng: random.Random) -> str:
    if not parts.noun and not parts.layout:
        return rng.choice((parts.colour, f"in {parts.colour}", f"mostly {parts.colour}"))
    noun = parts.noun or "shape"
    if parts.layout in ("two", "three"):
        return " ".join(filter(None, (parts.size, parts.colour, plural(noun))))
    if not parts.layout and rng.random() < 0.3:
        return " ".join(filter(None, (parts.colour, plural(noun))))
    if parts.colour and rng.random() < 0.15:
        return with_article(" ".join(filter(None, (parts.size, noun))) + f" in {parts.colour}")
    adjectives = [word for word in (parts.size, parts.colour) if word]
    if rng.random() < 0.1:
        adjectives.reverse()
    phrase = " ".join([*adjectives, noun])
    return phrase if rng.random() < 0.3 else with_article(phrase)


def _sentence(parts: _Parts, rng: random.Random) -> str:
    subject, medium = parts.subject, parts.medium
    opening = rng.choice(("", "", "a picture of ", "an image of ", "there is ", "this shows "))
    if subject and medium:
        forms = ("{0} of {1}", "{0} showing {1}", "{1} as {0}", "{1}, {0}")
        body = rng.choice(forms).format(medium, subject)
    else:
        body = medium or (opening + subject if subject else rng.choice(FILLERS[:4]))
    if parts.place:
        body = f"{parts.place}, {body}" if rng.random() < 0.2 else f"{body} {parts.place}"
    if parts.artist:
        link = " " if parts.artist.startswith(("by ", "in ")) and rng.random() < 0.6 else ", "
        body = f"{parts.artist}, {body}" if rng.random() < 0.15 else f"{body}{link}{parts.artist}"
    return body


def _comma_list(parts: _Parts, rng: random.Random) -> str:
    listed = [without_article(part) if rng.random() < 0.5 else part for part in parts.as_list()]
    if rng.random() < 0.3:
        listed.append(rng.choice(FILLERS))
    if rng.random() < 0.5:
        rng.shuffle(listed)
    return ", ".join(listed)


def _held_out_sentence(parts: _Parts, rng: random.Random) -> str:
    """Sentence forms that training never uses."""
    subject = parts.subject or "something"
    body = rng.choice(("here we have {0}", "look: {0}", "you see {0}")).format(subject)
    if parts.place:
        body = f"{body}, and that {parts.place}"
    if parts.medium:
        body = rng.choice(("{0}; made as {1}", "made as {1}: {0}")).format(body, parts.medium)
    return f"{body} ({parts.artist})" if parts.artist else body


@lru_cache(maxsize=1)
def _patterns() -> dict[str, tuple[re.Pattern[str], dict[str, str]]]:
    """Per factor: a pattern over all wordings, longest first, and which value each wording means."""
    patterns = {}
    for factor, values in FACTORS.items():
        meaning: dict[str, str] = {}
        for value in values:
            for wording in (*WORDS[factor][value], *HELD_OUT_WORDS[factor][value]):
                wording = without_article(wording)
                meaning[wording] = value
                if factor == "shape":
                    meaning[plural(wording)] = value
        longest_first = "|".join(re.escape(w) for w in sorted(meaning, key=len, reverse=True))
        patterns[factor] = (re.compile(rf"\b({longest_first})\b"), meaning)
    return patterns


def _factors_in(phrases: list[str]) -> frozenset[str]:
    return frozenset(read(", ".join(phrases)))
