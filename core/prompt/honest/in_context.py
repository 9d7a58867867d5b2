"""What the caption says of a family, weighed in the caption's own words: each other concept is put in its place.

A word alone and a word in its sentence are not the same to a CLIP, and the sentence tells what belongs to what. Over
all wordings the mean of a concept's sentences is taken, less what those have to pictures in general. And the captioner,
asked how likely it would have been to write each sentence, tells how sure it was of the word it chose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...describe.weighing import log_likelihoods
from ...evidence.likelihoods import Answer, Evidence
from ...phrases.families import Claim
from ...phrases.families.claims import forms
from ...phrases.swapping import in_place
from .said import of_family

if TYPE_CHECKING:
    from torch import Tensor

    from ...clip import Clip
    from ...describe.next_words import NextWords

MOST_CONCEPTS = 8
"""Of a family, the likeliest."""
SHARPER = 2.0
"""By how much differences between sentences that share most words count for more than between words alone: by
validation in the middle world (benchmarks/truth.py)."""

Heard = Mapping[str, np.ndarray]
"""By family: the logarithms of how likely the captioner is to say each concept [concepts]; -inf for those that are out
of the question."""


@dataclass(frozen=True)
class _Variant:
    family: str
    row: int
    text: str


def in_context(
    clip: Clip,
    evidence: Evidence,
    features: Tensor,
    caption: str,
    answers: Mapping[str, Answer],
    heard: Heard | None = None,
) -> dict[str, Answer]:
    """The answers, those anew that the caption names one concept of, in families of which one concept is true.

    features: the picture's [joint width]. heard: of the captioner, where it could tell."""
    variants = _variants(evidence, caption, answers)
    if not variants:
        return dict(answers)
    about = features - evidence.bank.mean.to(features)
    scores = (clip.encode_texts([each.text for each in variants]) @ about).double().cpu().numpy()
    weighed = dict(answers)
    for name, rows in _by_row(variants).items():
        means = np.full(len(answers[name].likelihoods), -np.inf)
        for row, places in rows.items():
            means[row] = scores[places].mean()
        said = (heard or {}).get(name)
        weighed[name] = evidence.weighed(answers[name], means * SHARPER, said)
    return weighed


def heard_of(words: NextWords, evidence: Evidence, features: Tensor, caption: str) -> Heard:
    """How likely the captioner, whose words they are, is to say each concept that comes into question in the place of
    the one that it said; of all a concept's wordings together. Empty where it cannot tell."""
    variants = _variants(evidence, caption, evidence.answers(features, caption))
    values = log_likelihoods(words, [each.text for each in variants]) if variants else None
    if values is None:
        return {}
    found: dict[str, np.ndarray] = {}
    for name, rows in _by_row(variants).items():
        family = next(each for each in evidence.families if each.name == name)
        said = np.full(len(family.concepts), -np.inf)
        for row, places in rows.items():
            said[row] = np.logaddexp.reduce([values[place] for place in places])
        if np.isfinite(said.max()):
            found[name] = said - said.max()
    return found


def replaced(caption: str, claims: Sequence[Claim], wording: str) -> str:
    """The caption with a wording in the place of each claim; in the plural where that was."""
    for claim in sorted(claims, key=lambda each: -each.start):
        caption = in_place(caption, claim.start, claim.stop, suiting(wording, claim))
    return caption


def _variants(evidence: Evidence, caption: str, answers: Mapping[str, Answer]) -> list[_Variant]:
    """Of each family that excludes, and of which the caption names one concept."""
    claims = evidence.claims.read(caption)
    return [
        _Variant(name, row, replaced(caption, of_family(claims, name), wording))
        for name, answer in answers.items()
        if answer.family.excludes and len(answer.claimed) == 1
        for row in sorted({*answer.ranked[:MOST_CONCEPTS], *answer.claimed})
        for wording in answer.concept(row).spoken
    ]


def _by_row(variants: Sequence[_Variant]) -> dict[str, dict[int, list[int]]]:
    """By family and row, the places of its variants."""
    found: dict[str, dict[int, list[int]]] = {}
    for place, each in enumerate(variants):
        found.setdefault(each.family, {}).setdefault(each.row, []).append(place)
    return found


def suiting(wording: str, claim: Claim) -> str:
    """The wording as it may stand in the claim's place."""
    singular, *plural = forms(wording)
    return plural[0] if plural and _is_plural(claim) else singular


def _is_plural(claim: Claim) -> bool:
    return claim.wording not in {forms(wording)[0] for wording in claim.concept.wordings}
