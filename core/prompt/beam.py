"""The beam: several prompts grown side by side over a short list of phrases that is renewed as they grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..progress import Progress, Task, steps
from .search import SEARCHING, Candidate, ChainRules, Scorer, Trail, allowed, most_steps

_EXCHANGES = 16
_LEAST_GAIN = 1e-6  # float32 rounds differently where prompts share another beginning


@dataclass(frozen=True)
class BeamRules:
    """width: prompts kept from round to round. shortlist: phrases each of them is continued with.
    refresh: every so many rounds the leading prompt is continued with every candidate; the best make the new list."""

    width: int = 4
    shortlist: int = 64
    refresh: int = 4


@dataclass(frozen=True)
class Guide:
    """What a greedy chain that ran before has to say about one round.

    trail: its prompt before the round, to grow beside the beam's own; None for its advice alone.
    shortlist: the candidates that suited that prompt best, best first.
    """

    trail: Trail | None
    shortlist: tuple[Candidate, ...]


class Guides:
    """Collects guides from a greedy chain, to which `watch` is given."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.found: list[Guide] = []

    def watch(self, trail: Trail, candidates: Sequence[Candidate], similarities: np.ndarray) -> None:
        self.found.append(Guide(trail, tuple(_leading(candidates, similarities, self._count))))


def beam_search(
    scorer: Scorer,
    candidates: Sequence[Candidate],
    start: Trail,
    rules: ChainRules,
    beam: BeamRules,
    progress: Progress,
    guides: Sequence[Guide] = (),
) -> Trail:
    """The best prompt met on the way, never longer than the token limit; equal ones go to the one found first.
    Ends when the phrases of a whole shortlist period have brought nothing better, after the least number of phrases
    and after the guides.

    guides: of a greedy chain from the same start, a round each: what it has computed anyway saves the beam the most.
    Prompts of the same phrases in another order count as one, the best of them. Raises Cancelled between two rounds.
    """
    best, trails, stale = start, [start], 0
    shortlist: list[Candidate] = []
    shortlists: list[list[Candidate]] = []
    most = most_steps(scorer, rules, start, candidates)
    with steps(progress, SEARCHING, 2 * most, "steps") as task:
        for grown in range(rules.most):
            if grown < len(guides):
                shortlist = list(guides[grown].shortlist)
                trails = _joined(trails, guides[grown].trail)
            elif (grown - len(guides)) % beam.refresh == 0:
                shortlist = _shortlist(scorer, candidates, trails[0], rules, beam.shortlist)
            shortlists.append(shortlist)
            trails = _grown(scorer, trails, shortlist, rules, beam.width)
            if not trails:
                break
            task.advance()
            if trails[0].similarity > best.similarity or not best.prompt:
                best, stale = trails[0], 0
            else:
                stale += 1
            if stale >= beam.refresh and grown + 1 >= max(rules.least, len(guides)):
                break
        task.reach(most)
        return _refined(scorer, best, len(start.phrases), shortlists, rules, task)


def _refined(
    scorer: Scorer,
    trail: Trail,
    fixed: int,
    shortlists: Sequence[Sequence[Candidate]],
    rules: ChainRules,
    task: Task | None = None,
) -> Trail:
    """The trail after every phrase behind the first `fixed` was exchanged for what suits better now that the phrases
    behind it are known, or for nothing."""
    for place in range(fixed, len(trail.phrases)):
        if place < len(trail.phrases):
            trail = _exchanged(scorer, trail, place, shortlists[min(place - fixed, len(shortlists) - 1)], rules)
            if task is not None:
                task.advance()
    return trail


def _exchanged(scorer: Scorer, trail: Trail, place: int, shortlist: Sequence[Candidate], rules: ChainRules) -> Trail:
    parts = [Candidate(phrase.text, phrase.category) for phrase in trail.phrases]
    others = parts[:place] + parts[place + 1 :]
    taken = {part.text for part in parts}
    rest = replace(trail, phrases=trail.phrases[:place] + trail.phrases[place + 1 :])
    fresh = [one for one in allowed(list(shortlist[:_EXCHANGES]), rest, rules.limits) if one.text not in taken]
    changed = [[*parts[:place], one, *parts[place + 1 :]] for one in fresh]
    if len(others) > 1:
        changed.append(others)
    texts = [", ".join(part.text for part in some) for some in changed]
    scores = scorer.similarities(texts) if texts else np.empty(0)
    for row in np.argsort(-scores, kind="stable"):
        if scores[row] <= trail.similarity + _LEAST_GAIN:
            break
        if scorer.length(texts[row]) <= rules.token_limit:
            return scorer.trail(changed[row])
    return trail


def _joined(trails: list[Trail], other: Trail | None) -> list[Trail]:
    known = {_key(trail) for trail in trails}
    return trails if other is None or _key(other) in known else [*trails, other]


def _key(trail: Trail) -> frozenset[str]:
    return frozenset(phrase.text for phrase in trail.phrases)


def _shortlist(
    scorer: Scorer, candidates: Sequence[Candidate], trail: Trail, rules: ChainRules, count: int
) -> list[Candidate]:
    """The best continuations of one prompt. Half precision will do: the list is longer than its errors reach."""
    left = allowed(list(candidates), trail, rules.limits)
    if not left:
        return []
    scores = scorer.continuations(trail.prompt, [candidate.text for candidate in left], rough=True)
    return _leading(left, scores, count)


def _leading(candidates: Sequence[Candidate], scores: np.ndarray, count: int) -> list[Candidate]:
    return [candidates[row] for row in np.argsort(-scores, kind="stable")[:count]]


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
            key = _key(longer)
            if key not in found or found[key].similarity < longer.similarity:
                found[key] = longer
            kept += 1
            if kept == 2 * width:
                break
    return sorted(found.values(), key=lambda trail: -trail.similarity)[:width]
