"""Named categories of phrases, and a vocabulary of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NEGATIVE = "negative"
POSITIVE = ("artists", "mediums", "movements", "sites", "flavors")
"""The built-in categories that a prompt takes phrases from, in the order in which people are asked about them."""


@dataclass(frozen=True)
class Category:
    """per_prompt: how many of its phrases a classic prompt takes; None leaves it to the mode."""

    name: str
    phrases: tuple[str, ...]
    per_prompt: int | None = None


@dataclass(frozen=True)
class Vocabulary:
    """Categories by name, in the order of merging."""

    name: str
    categories: Mapping[str, Category]

    def phrases(self, category: str) -> tuple[str, ...]:
        """Empty for a category this vocabulary does not have."""
        found = self.categories.get(category)
        return found.phrases if found else ()

    def positive(self) -> list[Category]:
        """All that describe what a picture shows."""
        return [category for category in self.categories.values() if category.name != NEGATIVE]


def artist_phrases(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names in the two forms prompts use; a line that has its form already is taken as it is."""
    formed = [name for name in names if name.casefold().startswith(("by ", "inspired by "))]
    bare = [name for name in names if not name.casefold().startswith(("by ", "inspired by "))]
    return (*formed, *(f"by {name}" for name in bare), *(f"inspired by {name}" for name in bare))
