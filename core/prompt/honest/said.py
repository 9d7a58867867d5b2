"""What a prompt says so far, and whether a further phrase would contradict or repeat it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...phrases.families import Claim, Claims
from ...results import Reason

_WORDS = re.compile(r"[\w'-]+")
_SMALL = frozenset(("a", "an", "the", "of", "in", "on", "at", "with", "and", "by", "from", "to", "as", "is", "its"))


@dataclass(frozen=True)
class Clash:
    """reason: "contradicts" or "repeats". against: the words that it does it to."""

    reason: Reason
    against: str


class Said:
    """claims: finds concepts in texts."""

    def __init__(self, claims: Claims, prompt: str) -> None:
        self._claims = claims
        self.prompt = prompt
        self.found: tuple[Claim, ...] = claims.read(prompt)
        self._words = frozenset(_words(prompt))

    def clash(self, phrase: str) -> Clash | None:
        """What is wrong with saying the phrase too; None for nothing."""
        new = self._claims.read(phrase)
        for claim in new:
            for own in self.found:
                if own.family is claim.family and own.concept is not claim.concept and claim.family.excludes:
                    return Clash("contradicts", own.wording)
        known = {id(own.concept): own.wording for own in self.found}
        if new and all(id(claim.concept) in known for claim in new):
            return Clash("repeats", known[id(new[0].concept)])
        words = [word for word in _words(phrase) if word not in _SMALL]
        return Clash("repeats", phrase) if words and self._words.issuperset(words) else None

    def families(self) -> frozenset[str]:
        """The names of those of which something is said."""
        return frozenset(claim.family.name for claim in self.found)


def of_family(claims: Sequence[Claim], name: str) -> list[Claim]:
    return [claim for claim in claims if claim.family.name == name]


def _words(text: str) -> list[str]:
    return _WORDS.findall(text.casefold())
