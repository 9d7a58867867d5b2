"""Concepts, and the families that they are answers of."""

from __future__ import annotations

from dataclasses import dataclass

FLAVORS = "flavors"
SPOKEN = 4
"""Wordings of a concept, whose mean says enough of it: more would take their time of a large CLIP and of its table."""


@dataclass(frozen=True)
class Concept:
    """One value, such as night. wordings: ways to say it that may stand alone in a prompt; the most usual first."""

    name: str
    wordings: tuple[str, ...]

    @property
    def spoken(self) -> tuple[str, ...]:
        """The most usual, which a CLIP is asked with, and prompts say; by the others it is recognised in texts."""
        return self.wordings[:SPOKEN]


@dataclass(frozen=True)
class Family:
    """Concepts that answer one question, such as the time of day.

    excludes: whether one of them rules out the others. Of the time of day it does; of colours it does not, as a picture
    holds many. always: whether every picture has one of them; of the weather it has not, indoors. category: of a
    vocabulary, which holds phrases of the kind, and whose limits hold for it.
    """

    name: str
    about: str
    excludes: bool
    always: bool
    concepts: tuple[Concept, ...]
    category: str = FLAVORS

    @property
    def wordings(self) -> tuple[str, ...]:
        """Of all concepts, in their order."""
        return tuple(wording for concept in self.concepts for wording in concept.wordings)
