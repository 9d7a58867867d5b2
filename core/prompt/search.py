"""The greedy chain: a prompt grown phrase by phrase towards a picture."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from torch import Tensor

from ..clip import Clip
from ..progress import Progress, steps
from ..results import PhraseGain, Rejected
from .screening import Screening


@dataclass(frozen=True)
class Candidate:
    text: str
    category: str


@dataclass(frozen=True)
class Trail:
    """A prompt and how it came about: the gains of its phrases sum to its similarity.

    risk: an upper bound on the probability that the search would have ended elsewhere without half precision.
    rejected: what was weighed and left out, where a search tells.
    """

    prompt: str
    similarity: float
    phrases: tuple[PhraseGain, ...]
    risk: float = 0.0
    rejected: tuple[Rejected, ...] = ()

    def extended(self, candidate: Candidate, similarity: float) -> Trail:
        prompt = f"{self.prompt}, {candidate.text}" if self.prompt else candidate.text
        gain = PhraseGain(candidate.text, candidate.category, similarity - self.similarity)
        return Trail(prompt, similarity, (*self.phrases, gain), rejected=self.rejected)


EMPTY = Trail("", 0.0, ())
SEARCHING = "Searching"
_FOR_LENGTH = 64


class Round(NamedTuple):
    """winner: row of the best candidate. similarity: of the prompt with it. similarities: of all, half precision."""

    winner: int
    similarity: float
    similarities: np.ndarray


Watcher = Callable[[Trail, Sequence[Candidate], np.ndarray], None]
"""Told of every round: the prompt before it, the candidates, and how similar the prompt becomes with each of them."""


class Scorer:
    """Cosine similarities of texts to one picture, given by its features [width].

    screening: what scoring in half precision first has cost and risked; unused where the model does not do that.
    """

    def __init__(self, clip: Clip, features: Tensor) -> None:
        self._clip = clip
        self._features = features
        self.screening = Screening()

    def similarities(self, texts: Sequence[str]) -> np.ndarray:
        return self._checked((self._clip.text.encode(texts) @ self._features).cpu().numpy())

    def similarity(self, text: str) -> float:
        return float(self.similarities([text])[0])

    def continuations(self, prompt: str, phrases: Sequence[str], rough: bool = False) -> np.ndarray:
        """Of f"{prompt}, {phrase}" for every phrase."""
        features = self._clip.text.encode_continuations(prompt, phrases, rough)
        similarities = (features @ self._features).cpu().numpy()
        if rough and not np.isfinite(similarities).all():  # past what half precision holds
            return self.continuations(prompt, phrases)
        return self._checked(similarities)

    def _checked(self, similarities: np.ndarray) -> np.ndarray:
        """Here rather than where texts are encoded, as here nothing has to wait for the device. Raises ModelError."""
        if np.isfinite(similarities).all():
            return similarities
        raise self._clip.no_numbers("texts")

    def best_continuation(self, prompt: str, phrases: Sequence[str], sign: float) -> Round:
        """The phrase with the highest sign * similarity, the first of equal ones."""
        if not prompt or not self._clip.text.has_rough or not self.screening.pays_for(len(phrases)):
            similarities = self.continuations(prompt, phrases)
            row = int((sign * similarities).argmax())
            return Round(row, float(similarities[row]), similarities)

        def exact(rows: np.ndarray) -> np.ndarray:
            return sign * self.continuations(prompt, [phrases[int(row)] for row in rows])

        rough = self.continuations(prompt, phrases, rough=True)
        row, value = self.screening.best(sign * rough, exact)
        return Round(row, sign * value, rough)

    def length(self, text: str) -> int:
        return self._clip.text.length(text)

    @property
    def context_length(self) -> int:
        return self._clip.text.context_length

    def trail(self, parts: Sequence[Candidate]) -> Trail:
        """The prompt of the given parts in their order, with what each added."""
        texts = [", ".join(part.text for part in parts[: count + 1]) for count in range(len(parts))]
        trail = EMPTY
        if texts:
            for part, similarity in zip(parts, self.similarities(texts), strict=True):
                trail = trail.extended(part, float(similarity))
        return trail


def worth_of_parts(scorer: Scorer, prompt: str) -> tuple[PhraseGain, ...]:
    """By how much a finished prompt's similarity falls when one of its comma-separated parts is taken out, for each."""
    parts = [part.strip() for part in prompt.split(",") if part.strip()]
    without = [", ".join(parts[:row] + parts[row + 1 :]) for row in range(len(parts))]
    whole, *reduced = scorer.similarities([", ".join(parts), *without])
    return tuple(PhraseGain(part, "", float(whole - rest)) for part, rest in zip(parts, reduced, strict=True))


@dataclass(frozen=True)
class ChainRules:
    """least, most: phrases taken before a fall in similarity stops the chain, and at all.
    token_limit: the chain stops when a prompt reaches it.
    limits: phrases of a category at most. away: seek the least similar prompt.
    unsigned_start: with `away`, compare later prompts with the first phrase's similarity as if it were not negated, as
    the peer does (its negative mode therefore often ends with one phrase).
    first_beside: the phrase that begins an empty prompt is taken beside the most, as the peer does.
    """

    least: int
    most: int
    token_limit: int
    limits: Mapping[str, int]
    away: bool = False
    unsigned_start: bool = False
    cut_by_model: bool = False
    first_beside: bool = False


def greedy_chain(
    scorer: Scorer,
    candidates: Sequence[Candidate],
    start: Trail,
    rules: ChainRules,
    progress: Progress,
    watcher: Watcher | None = None,
) -> Trail:
    """clip-interrogator's chain: each round takes the phrase that brings the prompt nearest to the picture; the best
    prompt on the way is returned. Equal scores go to the earlier candidate (the peer: to either, by its hash seed).

    Raises Cancelled between two rounds.
    """
    sign = -1.0 if rules.away else 1.0
    left = list(candidates)
    current, objective, most = start, start.similarity, rules.most
    if not current.prompt and left:
        most -= not rules.first_beside
        current, left = _first_step(scorer, left, sign, rules, watcher)
        objective = current.similarity if rules.unsigned_start else sign * current.similarity
    best, best_objective = current, objective
    with steps(progress, SEARCHING, most_steps(scorer, rules, start, candidates), "phrases") as task:
        for taken in range(most):
            left = allowed(left, current, rules.limits)
            if not left:
                break
            following, left = _best_step(scorer, current, left, sign, watcher)
            length = scorer.length(following.prompt)
            if length > rules.token_limit and not _may_overrun(scorer, rules):
                break
            value = sign * following.similarity
            if value > best_objective:
                best, best_objective = following, value
            if value <= objective and taken >= rules.least:
                break
            current, objective = following, value
            task.advance()
            if length >= rules.token_limit:
                break
    return best


def most_steps(scorer: Scorer, rules: ChainRules, start: Trail, candidates: Sequence[Candidate]) -> int:
    """That a search will take, as far as can be known: as many phrases as there is room for where they are as long as
    those that suit best. It may end before, when the next one brings nothing more."""
    around, some = scorer.length(""), candidates[:_FOR_LENGTH]
    lengths = [scorer.length(each.text) - around + 1 for each in some]  # with the comma
    room = rules.token_limit - scorer.length(start.prompt)
    fitting = math.ceil(room * len(some) / sum(lengths)) if some else 0
    return max(1, min(rules.most, len(candidates), fitting))


def joined_category(trail: Trail, category: str) -> Trail:
    """The trail with consecutive phrases of one category joined into one (a caption cut at its commas, say)."""
    joined: list[PhraseGain] = []
    for phrase in trail.phrases:
        if joined and phrase.category == category == joined[-1].category:
            last = joined[-1]
            joined[-1] = replace(last, text=f"{last.text}, {phrase.text}", gain=last.gain + phrase.gain)
        else:
            joined.append(phrase)
    return replace(trail, phrases=tuple(joined))


def _first_step(
    scorer: Scorer, left: list[Candidate], sign: float, rules: ChainRules, watcher: Watcher | None
) -> tuple[Trail, list[Candidate]]:
    """The best phrase alone; of those within the limit where that one is not, and no prompt where none is."""
    first, rest = _best_step(scorer, EMPTY, left, sign, watcher)
    if scorer.length(first.prompt) <= rules.token_limit or _may_overrun(scorer, rules):
        return first, rest
    fitting = [candidate for candidate in left if scorer.length(candidate.text) <= rules.token_limit]
    return _best_step(scorer, EMPTY, fitting, sign, watcher) if fitting else (EMPTY, [])


def _may_overrun(scorer: Scorer, rules: ChainRules) -> bool:
    return rules.cut_by_model and rules.token_limit >= scorer.context_length


def _best_step(
    scorer: Scorer, trail: Trail, left: list[Candidate], sign: float, watcher: Watcher | None
) -> tuple[Trail, list[Candidate]]:
    texts = [candidate.text for candidate in left]
    winner, similarity, similarities = scorer.best_continuation(trail.prompt, texts, sign)
    if watcher is not None:
        watcher(trail, left, similarities)
    following = trail.extended(left[winner], similarity)
    return following, left[:winner] + left[winner + 1 :]


def allowed(left: list[Candidate], trail: Trail, limits: Mapping[str, int]) -> list[Candidate]:
    """The candidates of whose category the prompt may have another phrase."""
    if not limits:
        return left
    used = Counter(phrase.category for phrase in trail.phrases)
    full = {category for category, limit in limits.items() if used[category] >= limit}
    return [candidate for candidate in left if candidate.category not in full] if full else left
