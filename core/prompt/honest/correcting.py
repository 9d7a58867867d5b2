"""A caption's words changed where CLIP and caption together are sure that they are wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...evidence.likelihoods import Answer
from ...phrases.families import Claim, Claims
from ...phrases.families.claims import forms
from ...phrases.swapping import in_place
from ...results import Rejected
from .said import of_family

SURE_TO_CHANGE = 0.8


@dataclass(frozen=True)
class Corrected:
    text: str
    changes: tuple[Rejected, ...] = ()


def corrected(
    caption: str,
    answers: Mapping[str, Answer],
    claims: Claims,
    best_of: Callable[[Sequence[str]], int],
    allowed: Callable[[str], bool],
) -> Corrected:
    """The caption, with another concept in the place of one that it names alone of a family that excludes.

    answers: as CLIP and caption say together. best_of: which of several texts suits the picture best. allowed: whether
    a wording may be used."""
    changes: list[Rejected] = []
    for name, answer in answers.items():
        row = answer.ranked[0]
        if not answer.family.excludes or len(answer.claimed) != 1 or row == answer.claimed[0]:
            continue
        if answer.likelihoods[row] < SURE_TO_CHANGE:
            continue
        wordings = [wording for wording in answer.concept(row).wordings if allowed(wording)]
        found = of_family(claims.read(caption), name)
        if not wordings or not found:
            continue
        texts = [_with(caption, found, wording) for wording in wordings]
        chosen = best_of(texts)
        likelihood = float(answer.likelihoods[answer.claimed[0]])
        changes.append(Rejected(found[0].wording, name, "corrected", likelihood, against=wordings[chosen]))
        caption = texts[chosen]
    return Corrected(caption, tuple(changes))


def _with(caption: str, claims: Sequence[Claim], wording: str) -> str:
    """In the place of each; in the plural where that was."""
    for claim in sorted(claims, key=lambda each: -each.start):
        singular, *plural = forms(wording)
        text = plural[0] if plural and _is_plural(claim) else singular
        caption = in_place(caption, claim.start, claim.stop, text)
    return caption


def _is_plural(claim: Claim) -> bool:
    known = [forms(wording) for wording in claim.concept.wordings]
    return claim.wording not in {own[0] for own in known}
