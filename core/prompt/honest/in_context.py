"""What the caption says of a family, weighed in the caption's own words: each other concept is put in its place.

A word alone and a word in its sentence are not the same to a CLIP, and the sentence tells what belongs to what. Over
all wordings the mean of a concept's sentences is taken, less what those have to pictures in general.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...evidence.likelihoods import Answer, Evidence
from ...phrases.families import Claim
from ...phrases.families.claims import forms
from ...phrases.swapping import in_place
from .said import of_family

if TYPE_CHECKING:
    from torch import Tensor

    from ...clip import Clip

MOST_CONCEPTS = 8
"""Of a family, the likeliest."""
SHARPER = 2.0
"""By how much differences between sentences that share most words count for more than between words alone: by
validation in the middle world (benchmarks/truth.py)."""


def in_context(
    clip: Clip, evidence: Evidence, features: Tensor, caption: str, answers: Mapping[str, Answer]
) -> dict[str, Answer]:
    """The answers, those anew that the caption names one concept of, in families of which one concept is true.

    features: the picture's [joint width]."""
    claims = evidence.claims.read(caption)
    asked = {name: answer for name, answer in answers.items() if answer.family.excludes and len(answer.claimed) == 1}
    rows = {name: _considered(answer) for name, answer in asked.items()}
    texts = [
        replaced(caption, of_family(claims, name), wording)
        for name, answer in asked.items()
        for row in rows[name]
        for wording in answer.concept(row).spoken
    ]
    if not texts:
        return dict(answers)
    about = features - evidence.bank.mean.to(features)
    scores = iter((clip.encode_texts(texts) @ about).double().cpu().tolist())
    weighed = dict(answers)
    for name, answer in asked.items():
        means = np.full(len(answer.likelihoods), -np.inf)
        for row in rows[name]:
            means[row] = np.mean([next(scores) for _ in answer.concept(row).spoken])
        weighed[name] = evidence.weighed(answer, means * SHARPER)
    return weighed


def replaced(caption: str, claims: Sequence[Claim], wording: str) -> str:
    """The caption with a wording in the place of each claim; in the plural where that was."""
    for claim in sorted(claims, key=lambda each: -each.start):
        caption = in_place(caption, claim.start, claim.stop, suiting(wording, claim))
    return caption


def suiting(wording: str, claim: Claim) -> str:
    """The wording as it may stand in the claim's place."""
    singular, *plural = forms(wording)
    return plural[0] if plural and _is_plural(claim) else singular


def _considered(answer: Answer) -> list[int]:
    """In the order of the family."""
    return sorted({*answer.ranked[:MOST_CONCEPTS], *answer.claimed})


def _is_plural(claim: Claim) -> bool:
    return claim.wording not in {forms(wording)[0] for wording in claim.concept.wordings}
