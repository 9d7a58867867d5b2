"""Phrases of the lists that no family asks for: only what the picture supports, and what the prompt gains by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist

import numpy as np

from ...evidence.bank import Bank
from ...evidence.likelihoods import deviations
from ...evidence.trust import softmax
from ...phrases.table import PhraseTable
from ...progress import Progress, steps
from ...results import REASONS, Reason, Rejected
from ..ranking import top
from ..ruling import bare
from ..search import SEARCHING, Candidate, Scorer, Trail
from .said import Said

MOST_CONSIDERED = 64
"""Phrases of the lists, by their support."""
DRAWN = 64
"""Phrases at random, by whose gains a gain is measured."""
SHARE_BELOW = 0.95
"""Of the phrases at random that have to gain less."""
ONE_OF = frozenset(("artists", "mediums", "movements", "sites"))
"""Lists that are families: of one of their phrases, which has to be likely among all of them."""
_MOST_TOLD = 24


@dataclass(frozen=True)
class Listed:
    """A phrase of a list that the picture supports. likelihood: among its list, where that is a family."""

    candidate: Candidate
    support: float
    likelihood: float | None


class Lists:
    """A table's phrases beside what pictures in general are like. scale: of the likelihoods' logits."""

    def __init__(self, table: PhraseTable, bank: Bank, scale: float) -> None:
        self._table, self._bank, self._scale = table, bank, scale

    @cached_property
    def _means(self) -> np.ndarray:
        return self._table.similarities(self._bank.mean.to(self._table.embeddings.device).float())

    @cached_property
    def _deviations(self) -> np.ndarray:
        return deviations(self._table.embeddings, self._bank)

    @cached_property
    def enough(self) -> float:
        """The support, in deviations, that by chance fewer than one phrase of them all has."""
        return NormalDist().inv_cdf(1 - 1 / max(2, len(self._table.phrases)))

    @cached_property
    def _names(self) -> dict[str, np.ndarray]:
        """Of each list that is a family: by row, the number of its phrase; an artist's two forms share one."""
        found = {}
        for category in ONE_OF:
            known: dict[str, int] = {}
            names = [bare(phrase) for phrase in self._table.phrases[self._table.rows(category)]]
            found[category] = np.array([known.setdefault(name, len(known)) for name in names], dtype=np.int64)
        return found

    def supported(self, similarities: np.ndarray) -> list[Listed]:
        """The most supported first; similarities [phrases], -inf for what is ruled out."""
        scores = similarities - self._means
        supports = scores / self._deviations
        rows = [row for row in top(supports, MOST_CONSIDERED) if supports[row] >= self.enough]
        likelihoods = {
            category: self._likelihoods(category, scores) for category in {self._category(row) for row in rows}
        }
        return [
            Listed(Candidate(self._table.phrases[row], self._category(row)), float(supports[row]), _of(row, likely))
            for row in rows
            for likely in (likelihoods[self._category(row)],)
        ]

    def first(self, similarities: np.ndarray) -> Candidate | None:
        """The phrase that the picture supports most, be that ever so little; None where all are ruled out."""
        rows = top((similarities - self._means) / self._deviations, 1)
        return Candidate(self._table.phrases[rows[0]], self._category(rows[0])) if rows else None

    def drawn(self, similarities: np.ndarray, without: Sequence[Listed]) -> list[str]:
        """Phrases at random, the same for every picture but for those left out."""
        own = {each.candidate.text for each in without}
        usable = np.flatnonzero(np.isfinite(similarities))
        order = np.random.default_rng(0).permutation(usable)
        texts = dict.fromkeys(self._table.phrases[row] for row in order[: 2 * DRAWN])
        return [text for text in texts if text not in own][:DRAWN]

    def _category(self, row: int) -> str:
        return self._table.categories[row]

    def _likelihoods(self, category: str, scores: np.ndarray) -> tuple[int, np.ndarray] | None:
        """Where the list begins, and how likely each phrase is in it."""
        if category not in ONE_OF:
            return None
        rows = self._table.rows(category)
        names, shares = self._names[category], softmax(scores[rows].astype(np.float64) * self._scale)
        together = np.bincount(names, weights=shares)
        return rows.start, together[names]


def _of(row: int, likelihoods: tuple[int, np.ndarray] | None) -> float | None:
    return None if likelihoods is None else float(likelihoods[1][row - likelihoods[0]])


@dataclass(frozen=True)
class Rules:
    """most: phrases. fits: whether a prompt has room. sure: how likely a phrase of a list that is a family has to be.
    limits: tells whether a category may have another."""

    most: int
    fits: Callable[[str], bool]
    sure: float
    may: Callable[[str, Trail], bool]


def extended(
    scorer: Scorer,
    trail: Trail,
    found: Sequence[Listed],
    drawn: Sequence[str],
    said: Callable[[str], Said],
    rules: Rules,
    progress: Progress,
) -> Trail:
    """The prompt with one phrase after another, each the one that it gains most by, for as long as one gains more than
    phrases at random do. Raises Cancelled."""
    left, rejected = list(found), list(trail.rejected)
    with steps(progress, SEARCHING, max(1, len(left)), "phrases") as task:
        for _ in range(rules.most):
            left = _allowed(left, said(trail.prompt), trail, rules, rejected)
            if not left:
                break
            texts = [each.candidate.text for each in left]
            values = scorer.continuations(trail.prompt, [*texts, *drawn])
            gains = values - trail.similarity
            bar = max(0.0, float(np.quantile(gains[len(left) :], SHARE_BELOW)) if drawn else 0.0)
            best = int(gains[: len(left)].argmax())
            if gains[best] <= bar:
                rejected += [
                    _rejected(each, "no gain", gain=float(gain)) for each, gain in zip(left, gains, strict=False)
                ]
                break
            chosen = left.pop(best)
            trail = trail.extended(chosen.candidate, float(values[best]))
            *before, last = trail.phrases
            told = replace(last, likelihood=chosen.likelihood, support=chosen.support)
            trail = replace(trail, phrases=(*before, told))
            task.advance()
    rejected.sort(key=lambda each: REASONS.index(each.reason))  # what says most first
    return replace(trail, rejected=tuple(rejected[:_MOST_TOLD]))


def _allowed(left: Sequence[Listed], said: Said, trail: Trail, rules: Rules, rejected: list[Rejected]) -> list[Listed]:
    kept = []
    for each in left:
        clash = said.clash(each.candidate.text)
        if clash is not None:
            rejected.append(_rejected(each, clash.reason, clash.against))
        elif each.likelihood is not None and each.likelihood < rules.sure:
            rejected.append(_rejected(each, "unlikely"))
        elif not rules.fits(f"{trail.prompt}, {each.candidate.text}"):
            rejected.append(_rejected(each, "no room"))
        elif rules.may(each.candidate.category, trail):
            kept.append(each)
    return kept


def _rejected(each: Listed, reason: Reason, against: str = "", gain: float | None = None) -> Rejected:
    candidate = each.candidate
    return Rejected(candidate.text, candidate.category, reason, each.likelihood, each.support, gain, against)
