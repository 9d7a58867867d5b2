"""What a soft prompt stands on: what families of concepts say of pictures, and where texts lie."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path

from ...clip import Clip
from ...evidence.bank import Bank
from ...evidence.likelihoods import Evidence
from ...evidence.of_engine import TEXTS, bank_of_texts
from ...phrases import Vocabulary
from ...phrases.composed import composed_prompts
from ...progress import SILENT, Progress
from .aim import Measure


class Knowledge:
    """Of one CLIP, each part loaded when it is first asked for.

    evidence: over the families. vocabulary: of which texts are composed. cache: where is kept what takes its time."""

    def __init__(
        self,
        clip: Clip,
        evidence: Callable[[], Evidence],
        vocabulary: Callable[[], Vocabulary],
        cache: Path,
        progress: Progress = SILENT,
    ) -> None:
        self.clip = clip
        self.folder = cache / "embed"
        self._evidence = evidence
        self._vocabulary = vocabulary
        self._tables = cache / "tables"
        self._progress = progress

    @cached_property
    def evidence(self) -> Evidence:
        return self._evidence()

    @cached_property
    def texts(self) -> tuple[str, ...]:
        return composed_prompts(self._vocabulary(), TEXTS)

    @cached_property
    def where_texts_lie(self) -> Bank:
        return bank_of_texts(self.clip, self.texts, self._tables, self._progress)

    @cached_property
    def measure(self) -> Measure:
        """Of distances in the joint space."""
        return Measure.of(self.where_texts_lie.mean, self.where_texts_lie.covariance)
