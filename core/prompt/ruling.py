"""Which phrases the settings rule out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .checks import known_limits

if TYPE_CHECKING:
    from ..phrases import Vocabulary
    from ..phrases.table import PhraseTable
    from ..settings import Settings


class Ruling:
    """limits: phrases of a category at most, by the vocabulary's names. Raises PhraseError for an unknown category."""

    def __init__(self, settings: Settings, vocabulary: Vocabulary) -> None:
        self.limits = known_limits(settings.limits, vocabulary)
        self._excluded = frozenset(map(bare, settings.exclude))

    def allows(self, phrase: str, category: str) -> bool:
        return self.limits.get(category, 1) > 0 and bare(phrase) not in self._excluded

    def out(self, table: PhraseTable) -> list[int]:
        """The rows of a table that are not to be used."""
        if not self.limits and not self._excluded:
            return []
        rows = enumerate(zip(table.phrases, table.categories, strict=True))
        return [row for row, entry in rows if not self.allows(*entry)]


def bare(phrase: str) -> str:
    """Letter case and an artist's "by" do not distinguish what is excluded."""
    return phrase.strip().casefold().removeprefix("inspired ").removeprefix("by ")
