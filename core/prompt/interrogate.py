"""The modes: from a picture's features and its caption to a prompt.

They follow clip-interrogator 0.6.0 to the letter, except for its defects, which `Settings.peer_defects` brings back:

1. Of a table longer than 2,048 phrases only the best int(2048 / chunks) of each 2,048 are ranked, so that its pool
   holds 2,035 phrases and misses some of the best.
2. The negative mode ranks the survivors of those chunks by similarity instead of dissimilarity.
3. The negative mode compares later prompts with the first phrase's similarity without turning its sign.
4. Cutting a prompt to the token limit forgets the commas between the phrases, so that the prompt may be too long.
5. Phrases that differ in letter case only, and are the same to the model, may both be taken.
6. A long caption stays whole, and the chain's last phrase may run over the model's context length, which cuts both.
7. The most phrases of a prompt bound neither what the classic mode has beside flavors, nor the phrase that begins a
   prompt without a caption.

Two more cannot be brought back: ties there go by Python's hash seed (here: by the order of the vocabulary), and a
tokenizer that pads with another id than 0 ends every chain after one phrase.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from torch import Tensor

from ..clip import Clip
from ..evidence.likelihoods import Evidence
from ..phrases import NEGATIVE, Vocabulary
from ..phrases.table import PhraseTable
from ..progress import Progress, steps
from ..settings import BY_EVIDENCE, Mode, Search, Settings
from .beam import BeamRules, Guide, Guides, beam_search
from .checks import check_captions
from .honest.saying import Honest
from .judging import likeness
from .ranking import reversed_values, top, top_as_peer
from .room import Room
from .ruling import Ruling
from .search import (
    EMPTY,
    SEARCHING,
    Candidate,
    ChainRules,
    Scorer,
    Trail,
    greedy_chain,
    joined_category,
    most_steps,
)
from .subject import Subject

CAPTION = "caption"
FLAVORS = "flavors"
_CLASSIC_FLAVORS = 3
_FAST_AT_FIRST = 4
_BEAM_SHARE = 0.25
_FOR_PHRASES = 0.2
"""Of the tokens, at least, where a mode adds phrases to the caption: three or four phrases of 77 tokens."""


class Interrogator:
    """Finds prompts with one model, one vocabulary and one set of settings.

    load_table: gives the table of the vocabulary's positive categories; called once, by the first mode that ranks.
    load_evidence: for the searches "honest" and "written"; called once. Without it a search is the peer's, or the beam.
    """

    def __init__(
        self,
        clip: Clip,
        vocabulary: Vocabulary,
        load_table: Callable[[], PhraseTable],
        settings: Settings,
        progress: Progress,
        load_evidence: Callable[[], Evidence] | None = None,
    ) -> None:
        self._clip = clip
        self._vocabulary = vocabulary
        self._load_table = load_table
        self._settings = settings
        self._progress = progress
        self._load_evidence = load_evidence
        self._ruling = Ruling(settings, vocabulary)
        self._room = Room(clip, settings)

    def prepare(self, mode: Mode) -> None:
        """Loads or builds what the mode needs, so that `run` takes the picture's time alone."""
        if mode != "caption":
            _ = self._table
        if mode == "best" and self._is_honest:
            _ = self._honest

    def subjects(self, mode: Mode, features: Tensor, captions: Sequence[str]) -> list[Subject]:
        """Of features [pictures, width], ranked at once where the mode ranks."""
        ranked = self._table.similarities(features) if mode != "caption" else [None] * len(captions)
        known = zip(features, captions, ranked, strict=True)
        return [Subject(seen, caption.strip(), similarities) for seen, caption, similarities in known]

    def run(self, mode: Mode, subject: Subject) -> Trail:
        """The mode's prompt, without trigger word, prefix and suffix."""
        self._clip.text.forget()
        scorer = Scorer(self._clip, subject.features)
        return replace(self._found(mode, subject, scorer), risk=scorer.screening.risk)

    def _found(self, mode: Mode, subject: Subject, scorer: Scorer) -> Trail:
        if mode == "negative":
            return self._negative(scorer, subject)
        if mode == "caption":
            check_captions(mode, [subject.caption])
            return self._alone(self._room.whole_caption(subject.caption), subject)
        whole = self._room.cut(subject.caption, _FOR_PHRASES)
        # what follows a full stop would begin with a comma
        bare = whole if self._settings.peer_defects else whole.rstrip(" .,")
        found = self._continued(mode, replace(subject, caption=bare), scorer)
        return self._alone(whole, subject) if whole != bare and found.prompt == bare else found

    def _alone(self, caption: str, subject: Subject) -> Trail:
        (similarity,) = likeness(self._clip, subject.features, [caption])
        return EMPTY.extended(Candidate(caption, CAPTION), similarity)

    def _continued(self, mode: Mode, subject: Subject, scorer: Scorer) -> Trail:
        similarities = self._similarities(subject)
        if mode == "classic":
            return self._classic(scorer, subject, similarities, _CLASSIC_FLAVORS)
        if mode == "fast":
            return self._fast(scorer, subject, similarities, self._settings.max_phrases)
        if self._is_honest:
            return self._honest.run(scorer, subject, similarities)
        return self._best(scorer, subject, similarities)

    def token_limit(self) -> int:
        """Tokens a prompt may have, trigger word, prefix and suffix deducted."""
        return self._room.limit

    def _best(self, scorer: Scorer, subject: Subject, similarities: np.ndarray) -> Trail:
        start = scorer.trail([Candidate(subject.caption, CAPTION)]) if subject.caption else EMPTY
        pool = self._pool(self._ranked(similarities, self._settings.pool))
        found = self._searched(scorer, pool, start)
        most = self._settings.max_phrases
        classic = self._classic(scorer, subject, similarities, most)
        fast = self._fast(scorer, subject, similarities, most)
        return max((start, classic, fast, *found), key=lambda trail: (bool(trail.prompt), trail.similarity))

    def _searched(self, scorer: Scorer, pool: Sequence[Candidate], start: Trail) -> list[Trail]:
        rules = self._rules()
        if self._settings.search != "beam":
            return [greedy_chain(scorer, pool, start, rules, self._progress)]
        guides, beam = Guides(self._settings.beam_shortlist), pool[: math.ceil(len(pool) * _BEAM_SHARE)]
        chain, grown = (most_steps(scorer, rules, start, some) for some in (pool, beam))
        grown *= 2  # and what it has found is refined
        with steps(self._progress, SEARCHING, chain + grown, "steps") as both:
            first = greedy_chain(scorer, pool, start, rules, both.part(chain, self._progress), guides.watch)
            return [first, self._beam(scorer, beam, start, guides.found, both.part(grown, self._progress))]

    def _beam(
        self,
        scorer: Scorer,
        suiting: Sequence[Candidate],
        start: Trail,
        guides: Sequence[Guide],
        progress: Progress,
    ) -> Trail:
        """Over the phrases that suit the picture best by themselves, with one medium at most. A beam is so good at
        raising the similarity that left alone it does so with phrases that are not true of the picture: similarity
        then rises further, the factors rightly named and a second model's opinion fall (benchmarks/beam.py)."""
        rules = self._rules()
        rules = replace(rules, limits={"mediums": 1, **rules.limits})
        settings = self._settings
        beam = BeamRules(settings.beam_width, settings.beam_shortlist, settings.beam_refresh)
        known = set(suiting)
        advice = [Guide(None, tuple(one for one in guide.shortlist if one in known)) for guide in guides]
        return beam_search(scorer, suiting, start, rules, beam, progress, advice)

    def _negative(self, scorer: Scorer, subject: Subject) -> Trail:
        flavors = self._table.rows(FLAVORS)
        similarities = self._similarities(subject)[flavors]
        if self._settings.peer_defects:
            ranked = top_as_peer(similarities, self._settings.pool, reverse=True)
        else:
            ranked = top(reversed_values(similarities), self._settings.pool)
        pool = self._pool([flavors.start + row for row in ranked])
        listed = [
            Candidate(phrase, NEGATIVE)
            for phrase in self._vocabulary.phrases(NEGATIVE)
            if self._ruling.allows(phrase, NEGATIVE)
        ]
        return greedy_chain(scorer, [*pool, *listed], EMPTY, self._rules(away=True), self._progress)

    def _fast(self, scorer: Scorer, subject: Subject, similarities: np.ndarray, most: int) -> Trail:
        ranked = self._ranked(similarities, self._settings.pool)
        taken: list[Candidate] = []
        for count in (_FAST_AT_FIRST * most, len(ranked)):  # limits and twins seldom leave too few of the first
            if len(taken) < most:
                taken = self._within_limits(self._listed(ranked[:count]), most)
        return self._fitted(scorer, [*_caption_part(subject), *taken])

    def _classic(self, scorer: Scorer, subject: Subject, similarities: np.ndarray, flavors: int) -> Trail:
        """Caption, medium and artist, site, movement, further categories, flavors."""
        medium = self._top_of("mediums", similarities, 1)
        artist = self._top_of("artists", similarities, 1)
        head, glued = _caption_part(subject), bool(medium) and subject.caption.startswith(medium[0].text)
        added: list[Candidate] = []
        if glued:
            head = [Candidate(" ".join([subject.caption, *_texts(artist)]), CAPTION)]
        elif medium or artist:
            signature = [*medium, *artist]
            added.append(Candidate(" ".join(_texts(signature)), "+".join(part.category for part in signature)))
        added += [*self._top_of("sites", similarities, 1), *self._top_of("movements", similarities, 1)]
        standard = {"mediums", "artists", "sites", "movements", FLAVORS}
        for category in self._vocabulary.positive():
            if category.name not in standard:
                added += self._top_of(category.name, similarities, 1)
        added += self._top_of(FLAVORS, similarities, flavors)
        if not self._settings.peer_defects:
            added = added[: self._settings.max_phrases - (len(artist) if glued else 0)]
        return self._fitted(scorer, [*head, *added])

    def _rules(self, away: bool = False) -> ChainRules:
        settings = self._settings
        limits = {name: limit for name, limit in self._ruling.limits.items() if limit > 0}
        limit = self._room.whole if away else self._room.limit
        defects = settings.peer_defects
        least, most = settings.min_phrases, settings.max_phrases
        return ChainRules(least, most, limit, limits, away, away and defects, defects, first_beside=defects)

    def _similarities(self, subject: Subject) -> np.ndarray:
        """Of every phrase of the table; -inf where the settings rule a phrase out."""
        known = subject.similarities
        similarities = self._table.similarities(subject.features) if known is None else known.copy()
        similarities[self._ruled_out] = -np.inf
        return similarities

    def _ranked(self, similarities: np.ndarray, count: int) -> list[int]:
        return top_as_peer(similarities, count) if self._settings.peer_defects else top(similarities, count)

    def _top_of(self, category: str, similarities: np.ndarray, count: int) -> list[Candidate]:
        found = self._vocabulary.categories.get(category)
        if found is None:
            return []
        rows = self._table.rows(category)
        wanted = min(found.per_prompt or count, self._ruling.limits.get(category, count))
        # twins of a phrase are skipped, so more are ranked than are wanted
        ranked = [rows.start + row for row in self._ranked(similarities[rows], 2 * wanted)]
        return self._listed(ranked)[:wanted]

    def _pool(self, rows: Sequence[int]) -> list[Candidate]:
        """The rows' phrases for a search, none twice; twins that the model cannot tell apart count as one, the first in
        the order of the vocabulary."""
        if self._settings.peer_defects:
            return list({self._table.phrases[row]: self._candidate(row) for row in rows}.values())
        first: dict[tuple[int, ...], int] = {}
        for row in rows:
            ids = self._clip.text.ids(self._table.phrases[row])
            if ids:
                first[ids] = min(row, first.get(ids, row))
        return [self._candidate(row) for row in first.values()]

    def _listed(self, rows: Sequence[int]) -> list[Candidate]:
        """The rows' phrases for a prompt that lists them by rank."""
        return [self._candidate(row) for row in rows] if self._settings.peer_defects else self._pool(rows)

    def _candidate(self, row: int) -> Candidate:
        return Candidate(self._table.phrases[row], self._table.categories[row])

    def _within_limits(self, ranked: Sequence[Candidate], most: int) -> list[Candidate]:
        taken: list[Candidate] = []
        for candidate in ranked:
            if len(taken) == most:
                break
            limit = self._ruling.limits.get(candidate.category, most)
            if sum(other.category == candidate.category for other in taken) < limit:
                taken.append(candidate)
        return taken

    def _fitted(self, scorer: Scorer, parts: Sequence[Candidate]) -> Trail:
        """As many of the parts, cut at their commas, as the token limit lets in."""
        limit = self._room.limit
        pieces = [Candidate(text, part.category) for part in parts for text in part.text.split(", ")]
        prompt = ""
        fitting: list[Candidate] = []
        for piece in pieces:
            if not fitting:
                piece = replace(piece, text=self._room.cut(piece.text))
                if not piece.text:
                    continue
            elif self._is_too_long(scorer, prompt, piece.text, limit):
                break
            prompt = f"{prompt}, {piece.text}" if fitting else piece.text
            fitting.append(piece)
        return joined_category(scorer.trail(fitting), CAPTION)

    def _is_too_long(self, scorer: Scorer, prompt: str, piece: str, limit: int) -> bool:
        if self._settings.peer_defects:
            return scorer.length(prompt + piece) >= limit
        return scorer.length(f"{prompt}, {piece}") > limit

    @property
    def search(self) -> Search:
        """That of the mode "best"."""
        return self._settings.searched if self._load_evidence is not None else self._settings.search or "peer"

    @property
    def _is_honest(self) -> bool:
        return self.search in BY_EVIDENCE

    @cached_property
    def evidence(self) -> Evidence:
        assert self._load_evidence is not None, "honest searches have evidence"
        return self._load_evidence()

    @cached_property
    def _honest(self) -> Honest:
        parts = (self._settings, self._ruling, self._room, self._progress)
        return Honest(self._clip, self.evidence, self._vocabulary, lambda: self._table, *parts)

    @cached_property
    def _table(self) -> PhraseTable:
        return self._load_table()

    @cached_property
    def _ruled_out(self) -> list[int]:
        return self._ruling.out(self._table)


def _caption_part(subject: Subject) -> list[Candidate]:
    return [Candidate(subject.caption, CAPTION)] if subject.caption else []


def _texts(candidates: Sequence[Candidate]) -> list[str]:
    return [candidate.text for candidate in candidates]
