"""What a picture shows, family by family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ...evidence.likelihoods import SURE_TO_SAY, Answer, Evidence
from ...phrases.composed import composed_prompts
from ...phrases.families import Claim, Concept
from ...phrases.table import PhraseTable
from ...progress import Progress
from ...results import PhraseGain, Reason, Rejected
from ..search import EMPTY, Candidate, Scorer, Trail
from ..subject import Subject, Writing
from ..written import CONTRASTS, WritingRules, truth_by, written_texts
from . import listed
from .correcting import corrected
from .in_context import in_context, suiting
from .listed import ONE_OF, Lists
from .said import Said
from .settling import Settled, settled

if TYPE_CHECKING:
    from torch import Tensor

    from ...clip import Clip
    from ...phrases import Vocabulary
    from ...settings import Settings
    from ..room import Room
    from ..ruling import Ruling

CAPTION = "caption"
DOUBTFUL = 0.02
"""How likely the family's next concept has to be to be offered in its place."""


class Honest:
    """Of one CLIP and one set of settings. load_table: of the vocabulary's lists."""

    def __init__(
        self,
        clip: Clip,
        evidence: Evidence,
        vocabulary: Vocabulary,
        load_table: Callable[[], PhraseTable],
        settings: Settings,
        ruling: Ruling,
        room: Room,
        progress: Progress,
    ) -> None:
        self._clip = clip
        self._evidence = evidence
        self._vocabulary = vocabulary
        self._load_table = load_table
        self._settings = settings
        self._ruling = ruling
        self._room = room
        self._progress = progress

    def run(self, scorer: Scorer, subject: Subject, similarities: np.ndarray) -> Trail:
        """subject.caption: with tags and pinned phrases behind it, "" for none. similarities: of the lists' phrases,
        -inf for those ruled out. Raises Cancelled."""
        self._progress.check()
        features = subject.features
        begun = self._settled(subject.caption)
        answers = self._evidence.answers(features, begun.text)
        answers = in_context(self._clip, self._evidence, features, begun.text, answers, subject.heard)
        if subject.writing is None:
            trail = self._corrected(scorer, begun.text, answers)
        else:
            begun = self._settled(self._written(features, subject.caption, subject.writing, answers))
            trail = self._told(scorer, begun.text, answers)
        insisted = (_changed(answers[claim.family.name], claim, wording) for claim, wording in begun.changes)
        trail = self._with_families(scorer, replace(trail, rejected=(*insisted, *trail.rejected)), answers)
        lists = self._lists
        if not trail.prompt:  # something has to be said, though nothing is sure
            trail = replace(scorer.trail(_one(lists.first(similarities))), rejected=trail.rejected)
        found = lists.supported(similarities)
        rules = listed.Rules(self._left(trail), self._fits, SURE_TO_SAY, self._may)
        return listed.extended(
            scorer, trail, found, lists.drawn(similarities, found), self._said, rules, self._progress
        )

    def _corrected(self, scorer: Scorer, caption: str, answers: Mapping[str, Answer]) -> Trail:
        """A caption is left as it is where nothing is known of pictures: what a CLIP holds to be sure then is less
        often so than what a caption says."""
        if not self._evidence.bank.knows_pictures:
            return self._told(scorer, caption, answers)
        kept = self._pinned_families()
        asked = {name: answer for name, answer in answers.items() if name not in kept}

        def best_of(texts: Sequence[str]) -> int:
            return int(scorer.similarities(texts).argmax())

        found = corrected(caption, asked, self._evidence.claims, best_of, self._is_allowed)
        return replace(self._told(scorer, found.text, answers), rejected=found.changes)

    def _told(self, scorer: Scorer, text: str, answers: Mapping[str, Answer]) -> Trail:
        """The prompt's beginning."""
        if not text:
            return EMPTY
        trail = scorer.trail([Candidate(text, CAPTION)])
        return replace(trail, phrases=tuple(self._doubted(phrase, answers) for phrase in trail.phrases))

    def _written(self, features: Tensor, caption: str, writing: Writing, answers: Mapping[str, Answer]) -> str:
        """What the describer writes under the eyes of the CLIP; what stands behind the caption, tags and pinned
        phrases, stays behind it."""
        truth = truth_by(self._evidence.claims, answers)
        tail = caption.removeprefix(writing.caption) if caption.startswith(writing.caption) else ""
        room = self._room.limit - (self._room.length(caption) - self._room.length(writing.caption) if tail else 0)
        rules = WritingRules(most=self._settings.captioning.max_length or WritingRules.most, token_limit=max(3, room))
        texts = written_texts(self._clip, features, writing.words, self._contrasts, truth, rules, self._progress)
        clean = [text.text.rstrip(" .,") for text in texts]
        return (clean[0] if clean else writing.caption) + tail

    @cached_property
    def _contrasts(self) -> Tensor:
        """Features of texts of no picture in particular [texts, joint width]."""
        return self._clip.encode_texts(composed_prompts(self._vocabulary, CONTRASTS, "contrast"), self._progress)

    def _doubted(self, caption: PhraseGain, answers: Mapping[str, Answer]) -> PhraseGain:
        """With what is least likely of all that the caption says."""
        told: list[tuple[float, Answer, int, Claim]] = []
        for claim in self._evidence.claims.read(caption.text):
            answer = answers.get(claim.family.name)
            if answer is not None and claim.family.excludes:
                row = answer.family.concepts.index(claim.concept)
                told.append((float(answer.likelihoods[row]), answer, row, claim))
        if not told:
            return caption
        _, answer, row, claim = min(told, key=lambda each: each[0])
        doubted = _described(caption, answer, row)
        if not doubted.runner_up:
            return doubted
        return replace(doubted, runner_up=suiting(doubted.runner_up, claim), instead_of=claim.wording)

    def _with_families(self, scorer: Scorer, trail: Trail, answers: Mapping[str, Answer]) -> Trail:
        """The surest first, since a prompt that is full is cut at its end."""
        told = self._said(trail.prompt).families()
        left_out = [(answer, row) for name, answer in answers.items() if name not in told for row in _worth(answer)]
        left_out.sort(key=lambda each: -each[0].supports[each[1]])
        rejected = list(trail.rejected)
        for answer, row in left_out:
            self._progress.check()
            wordings = list(answer.concept(row).spoken) if self._is_allowed(answer.concept(row)) else []
            if not wordings or not self._left(trail) or not self._may(answer.family.category, trail):
                continue
            if answer.likelihoods[row] < SURE_TO_SAY:
                rejected.append(_rejected(answer, row, "unlikely"))
                continue
            trail = self._saying(scorer, trail, answer, row, wordings, rejected)
        return replace(trail, rejected=tuple(rejected))

    def _saying(
        self, scorer: Scorer, trail: Trail, answer: Answer, row: int, wordings: list[str], rejected: list[Rejected]
    ) -> Trail:
        said = self._said(trail.prompt)
        clashes = [said.clash(wording) for wording in wordings]
        fresh = [wording for wording, clash in zip(wordings, clashes, strict=True) if clash is None]
        fitting = [
            wording for wording in fresh if self._fits(f"{trail.prompt}, {wording}" if trail.prompt else wording)
        ]
        if not fitting:
            clash = next((each for each in clashes if each is not None), None)
            reason, against = ("no room", "") if fresh or clash is None else (clash.reason, clash.against)
            rejected.append(replace(_rejected(answer, row, "no room"), reason=reason, against=against))
            return trail
        values = scorer.continuations(trail.prompt, fitting)
        best = int(values.argmax())
        trail = trail.extended(Candidate(fitting[best], answer.family.name), float(values[best]))
        *before, last = trail.phrases
        return replace(trail, phrases=(*before, _described(last, answer, row)))

    def _settled(self, text: str) -> Settled:
        return settled(text, self._settings.pinned, self._evidence.claims)

    def _pinned_families(self) -> frozenset[str]:
        """Of which the user has said what is so."""
        pinned = ", ".join(self._settings.pinned)
        return frozenset(claim.family.name for claim in self._evidence.claims.read(pinned))

    def _said(self, prompt: str) -> Said:
        return Said(self._evidence.claims, prompt)

    def _left(self, trail: Trail) -> int:
        return self._settings.max_phrases - sum(phrase.category != CAPTION for phrase in trail.phrases)

    def _fits(self, prompt: str) -> bool:
        return self._room.length(prompt) <= self._room.limit

    def _is_allowed(self, concept: Concept) -> bool:
        """Who bans one of its wordings means all of them."""
        return all(self._ruling.allows(wording, "") for wording in concept.wordings)

    def _may(self, category: str, trail: Trail) -> bool:
        """Whether a prompt may have another phrase of a category, or of a family of its kind."""
        used = sum(self._category_of.get(phrase.category, phrase.category) == category for phrase in trail.phrases)
        return used < self._ruling.limits.get(category, 1 if category in ONE_OF else used + 1)

    @cached_property
    def _category_of(self) -> dict[str, str]:
        """By the families' names."""
        return {family.name: family.category for family in self._evidence.families}

    @cached_property
    def _lists(self) -> Lists:
        return Lists(self._load_table(), self._evidence.bank, self._evidence.scale)


def _one(candidate: Candidate | None) -> list[Candidate]:
    return [] if candidate is None else [candidate]


def _worth(answer: Answer) -> Iterator[int]:
    """The rows that come into question: the likeliest, and where concepts do not exclude each other all likely ones."""
    likely, *others = answer.ranked
    yield likely
    if not answer.family.excludes:
        yield from (row for row in others if answer.likelihoods[row] >= SURE_TO_SAY)


def _described(phrase: PhraseGain, answer: Answer, row: int) -> PhraseGain:
    other = next((each for each in answer.ranked if each != row), row)
    offered = answer.family.excludes and other != row and answer.likelihoods[other] >= DOUBTFUL
    return replace(
        phrase,
        likelihood=float(answer.likelihoods[row]),
        support=float(answer.supports[row]),
        family=answer.family.name,
        runner_up=answer.concept(other).spoken[0] if offered else "",
    )


def _changed(answer: Answer, claim: Claim, against: str) -> Rejected:
    """What the caption said until a person said otherwise."""
    likelihood = float(answer.likelihoods[answer.family.concepts.index(claim.concept)])
    return Rejected(claim.wording, answer.family.name, "corrected", likelihood, against=against)


def _rejected(answer: Answer, row: int, reason: Reason) -> Rejected:
    wording, likelihood, support = answer.concept(row).spoken[0], answer.likelihoods[row], answer.supports[row]
    return Rejected(wording, answer.family.name, reason, float(likelihood), float(support))
