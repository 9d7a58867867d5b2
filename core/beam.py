"""The beam: several prompts grown side by side over a short list of phrases that is renewed as they grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .progress import Progress
from .search import Candidate, ChainRules, Scorer, Trail, allowed


@dataclass(frozen=True)
class BeamRules:
    """width: prompts kept from round to round. shortlist: phrases each of them is continued with.
    refresh: every so many rounds the leading prompt is continued with every candidate; the best make the new list."""

    width: int = 4
    shortlist: int = 128
    refresh: int = 4


def beam_search(
    scorer: Scorer,
    candidates: Sequence[Candidate],
    start: Trail,
    rules: ChainRules,
    beam: BeamRules,
    progress: Progress,
) -> Trail:
    """The best prompt met on the way, never longer than the token limit; equal ones go to the one found first.
    Ends when the phrases of a whole shortlist period have brought nothing better.

    Prompts of the same phrases in another order count as one, the best of them. Raises Cancelled between two rounds.
    """
    best, trails, stale = start, [start], 0
    shortlist: list[Candidate] = []
    with progress.task("Searching", rules.most, "phrases") as task:
        for grown in range(rules.most):
            if grown % beam.refresh == 0:
                shortlist = _shortlist(scorer, candidates, trails[0], rules, beam.shortlist)
            trails = _grown(scorer, trails, shortlist, rules, beam.width)
            if not trails:
                break
            task.advance()
            if trails[0].similarity > best.similarity or not best.prompt:
                best, stale = trails[0], 0
            elif (stale := stale + 1) == beam.refresh:
                break
    return best


def _shortlist(
    scorer: Scorer, candidates: Sequence[Candidate], trail: Trail, rules: ChainRules, count: int
) -> list[Candidate]:
    """The best continuations of one prompt. Half precision will do: the list is longer than its errors reach."""
    left = allowed(list(candidates), trail, rules.limits)
    if not left:
        return []
    scores = scorer.continuations(trail.prompt, [candidate.text for candidate in left], rough=True)
    return [left[row] for row in np.argsort(-scores, kind="stable")[:count]]


def _grown(
    scorer: Scorer, trails: Sequence[Trail], shortlist: Sequence[Candidate], rules: ChainRules, width: int
) -> list[Trail]:
    """The best `width` prompts that are one phrase longer, best first."""
    found: dict[frozenset[str], Trail] = {}
    for trail in trails:
        taken = {phrase.text for phrase in trail.phrases}
        left = [one for one in allowed(list(shortlist), trail, rules.limits) if one.text not in taken]
        if not left:
            continue
        scores = scorer.continuations(trail.prompt, [candidate.text for candidate in left])
        kept = 0
        for row in np.argsort(-scores, kind="stable"):
            longer = trail.extended(left[row], float(scores[row]))
            if scorer.length(longer.prompt) > rules.token_limit:
                continue
            key = frozenset(phrase.text for phrase in longer.phrases)
            if key not in found or found[key].similarity < longer.similarity:
                found[key] = longer
            kept += 1
            if kept == 2 * width:
                break
    return sorted(found.values(), key=lambda trail: -trail.similarity)[:width]
