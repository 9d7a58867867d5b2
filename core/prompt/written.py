"""A prompt written anew: a describer's language model says what may come next, and what the CLIP and the families of
concepts tell of the picture decides which of its sentences are kept.

It is a beam search over the words of the model (Visually Guided Decoding, 2025, does so with a model that does not see
the picture). A text is worth

    language * log p(text) + likeness * log softmax(scale * cos(picture, text)) + truth * (what it states)

with contrast texts as the softmax's others. All continuations of all beams are one pass through the text tower, which
shares what they begin with. A word of several tokens is judged as it stands until it is whole, and then as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..clip import Clip
from ..describe.next_words import Chosen, NextWords
from ..errors import ModelError
from ..evidence.likelihoods import Answer
from ..phrases.families import Claims
from ..pretrained import WHOLE_AGAIN
from ..progress import SILENT, Progress, steps

Truth = Callable[[str], float]
"""The logarithm of how likely it is that what a text, finished or not, states is so; 0 for one that states nothing."""
WRITING = "Writing"
CONTRASTS = 64
"""How many other texts the weights were chosen with: `composed_prompts(vocabulary, CONTRASTS, "contrast")` of
`core.phrases.composed`."""
SILENCE = 0.15
_LEAST_LIKELY = 1e-6


@dataclass(frozen=True)
class WritingRules:
    """language, likeness, truth: the weights, by micro's validation pictures. beams: texts that are written side by
    side. continuations: of all of them together that are judged at each step. least, most: tokens of the language
    model in a text. token_limit: of the CLIP, start and end included. unlikely: the logarithm of how much less likely
    than the likeliest a next token may be."""

    language: float = 0.5
    likeness: float = 1.0
    truth: float = 3.0
    beams: int = 10
    continuations: int = 100
    least: int = 1
    most: int = 32
    token_limit: int = 77
    unlikely: float = -math.inf


@dataclass(frozen=True)
class WrittenText:
    """score: the sum that ranks it, of: language, the logarithm of its likelihood; likeness, that of the softmax;
    truth. similarity: to the picture. finished: whether it ended by itself, or was cut off."""

    text: str
    score: float = 0.0
    language: float = 0.0
    likeness: float = 0.0
    truth: float = 0.0
    similarity: float = 0.0
    finished: bool = False


@dataclass(frozen=True)
class _Line:
    tokens: tuple[int, ...]
    judged: WrittenText


def written_texts(
    clip: Clip,
    features: Tensor,
    words: NextWords,
    contrasts: Tensor,
    truth: Truth,
    rules: WritingRules,
    progress: Progress = SILENT,
) -> tuple[WrittenText, ...]:
    """What was written of a picture, the best first, no text twice; those that ended by themselves before those that
    were cut off. Empty only where the model writes nothing.

    features: the picture's [width]. words: of its describer. contrasts: features of texts of other pictures [texts,
    width], which may be none. The same for the same picture, models and rules.
    Raises ModelError where a model gives no numbers, and Cancelled between the language model and the CLIP.
    """
    clip.text.forget()
    with steps(progress, WRITING, rules.most, "words") as task:
        search = _Search(clip, features, words, contrasts, truth, rules, task.advance, progress.check)
        words.write(search.choose, rules.beams)
    return search.ranked()


def truth_by(claims: Claims, answers: Mapping[str, Answer], silence: float = SILENCE) -> Truth:
    """By the families' likelihoods, 0 at best.

    Of each family that a text speaks of: how likely the least likely of the concepts it states is beside the likeliest
    one, or beside none of them where that may be; of concepts that do not exclude each other, beside that it is not so.
    Of each that every picture has an answer to and the text says nothing of: as much of what the answer would have told
    as `silence` says, which is nothing where no answer is likelier than another."""
    known = {name: _Worths.of(answer) for name, answer in answers.items()}

    def truth(text: str) -> float:
        worst: dict[str, float] = {}
        for claim in claims.read(text):
            name = claim.family.name
            if name in known:
                worst[name] = min(worst.get(name, 0.0), known[name].concepts[claim.concept.name])
        unsaid = sum(worths.told for name, worths in known.items() if name not in worst)
        return sum(worst.values()) - silence * unsaid

    return truth


@dataclass(frozen=True)
class _Worths:
    """concepts: the logarithm of how likely each is beside the best answer, by name. told: of how much likelier than at
    random the best is."""

    concepts: Mapping[str, float]
    told: float

    @classmethod
    def of(cls, answer: Answer) -> _Worths:
        shares = answer.likelihoods.clip(_LEAST_LIKELY).astype(float)
        best = np.maximum(shares, 1 - shares)
        if answer.family.excludes:
            none = 0.0 if answer.family.always else 1 - float(shares.sum())
            best = np.full(len(shares), max(float(shares.max()), none))
        has_one = answer.family.excludes and answer.family.always
        told = max(0.0, math.log(float(best[0]) * len(shares))) if has_one else 0.0
        names = [concept.name for concept in answer.family.concepts]
        return cls(dict(zip(names, np.log(shares / best).tolist(), strict=True)), told)


class _Search:
    def __init__(
        self,
        clip: Clip,
        features: Tensor,
        words: NextWords,
        contrasts: Tensor,
        truth: Truth,
        rules: WritingRules,
        advance: Callable[[], None],
        check: Callable[[], None],
    ) -> None:
        self._clip, self._features, self._words = clip, features, words
        self._truth, self._rules = truth, rules
        self._advance, self._check = advance, check
        others = clip.logit_scale * (contrasts.double() @ features.double())
        self._others = float(others.logsumexp(0)) if len(others) else -math.inf
        self._lines: list[_Line] = [_Line((), WrittenText(""))]
        self._finished: list[WrittenText] = []

    def choose(self, likely: Tensor) -> Chosen:
        """As `NextWords.write` asks it."""
        self._check()
        found = self._judged(self._continued(likely))
        found.sort(key=lambda each: -each[1].judged.score)  # equal ones in the order of their beginnings
        going: list[tuple[int, _Line]] = []
        for place, (row, line) in enumerate(found):
            if not line.judged.finished:
                going.append((row, line))
            elif place < self._rules.beams:
                self._finish(line.judged)
            if len(going) == self._rules.beams:
                break
        self._lines = [line for _, line in going]
        self._advance()
        if not going or self._is_over(len(going[0][1].tokens)):
            return ()
        return [(row, line.tokens[-1]) for row, line in going]

    def ranked(self) -> tuple[WrittenText, ...]:
        best: dict[str, WrittenText] = {}
        cut_off = [line.judged for line in self._lines]
        for each in sorted([*self._finished, *cut_off], key=lambda each: (not each.finished, -each.score)):
            if each.text:
                best.setdefault(each.text, each)
        return tuple(best.values())

    def _finish(self, text: WrittenText) -> None:
        self._finished.append(text)
        self._finished.sort(key=lambda each: -each.score)
        del self._finished[self._rules.beams :]

    def _is_over(self, tokens: int) -> bool:
        """Whether no text that goes on can become better than those that are finished: what the language model says of
        it can only fall, and the rest is 0 at best."""
        if tokens >= self._rules.most:
            return True
        bound = max(self._rules.language * line.judged.language for line in self._lines)
        full = len(self._finished) == self._rules.beams
        return full and self._finished[-1].score >= bound

    def _continued(self, likely: Tensor) -> list[tuple[int, _Line]]:
        """Each line by the tokens that are likeliest behind it, by line, the likeliest first; not yet judged."""
        rules = self._rules
        each = max(2, -(-rules.continuations // rules.beams)) if len(self._lines) > 1 else rules.continuations
        values, tokens = likely.double().topk(min(each, likely.shape[1]), dim=1)
        if not bool(torch.isfinite(values[:, 0]).all()):
            raise ModelError("The describer gives values that are no numbers", WHOLE_AGAIN)
        found = []
        for row, line in enumerate(self._lines):
            pairs = sorted(
                zip(values[row].tolist(), tokens[row].tolist(), strict=True), key=lambda pair: (-pair[0], pair[1])
            )
            for value, token in pairs:
                if value - pairs[0][0] < rules.unlikely or value == -math.inf:
                    break
                ends = token in self._words.ends
                if ends and len(line.tokens) < rules.least:
                    continue
                found.append((row, self._extended(line, token, value, ends)))
        return found

    def _extended(self, line: _Line, token: int, value: float, ends: bool) -> _Line:
        language = line.judged.language + value
        if ends:
            return _Line(line.tokens, replace(line.judged, language=language, finished=True))
        tokens = (*line.tokens, token)
        return _Line(tokens, WrittenText(self._words.text(tokens), language=language))

    def _judged(self, found: list[tuple[int, _Line]]) -> list[tuple[int, _Line]]:
        length, limit = self._clip.text.length, self._rules.token_limit
        found = [(row, line) for row, line in found if length(line.judged.text) <= limit]
        new = list(dict.fromkeys(line.judged.text for _, line in found if not line.judged.finished))
        similar = dict(zip(new, self._similarities(new), strict=True))
        return [(row, replace(line, judged=self._worth(line.judged, similar))) for row, line in found]

    def _similarities(self, texts: Sequence[str]) -> list[float]:
        if not texts or not self._rules.likeness:
            return [0.0] * len(texts)
        values = self._clip.encode_texts(texts).double() @ self._features.double()
        return values.tolist()

    def _worth(self, text: WrittenText, similar: dict[str, float]) -> WrittenText:
        rules = self._rules
        if not text.finished:
            similarity = similar[text.text]
            logit = self._clip.logit_scale * similarity
            likeness = logit - float(np.logaddexp(logit, self._others)) if rules.likeness else 0.0
            truth = self._truth(text.text) if rules.truth else 0.0
            text = replace(text, similarity=similarity, likeness=likeness, truth=truth)
        score = rules.language * text.language + rules.likeness * text.likeness + rules.truth * text.truth
        return replace(text, score=score)
