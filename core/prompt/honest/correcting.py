"""A caption's words changed where CLIP and caption together are sure that they are wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...evidence.likelihoods import Answer
from ...phrases.families import Claims, Concept
from ...results import Rejected
from .in_context import replaced
from .said import of_family

SURE_TO_CHANGE = 0.6


@dataclass(frozen=True)
class Corrected:
    text: str
    changes: tuple[Rejected, ...] = ()


def corrected(
    caption: str,
    answers: Mapping[str, Answer],
    claims: Claims,
    best_of: Callable[[Sequence[str]], int],
    allowed: Callable[[Concept], bool],
) -> Corrected:
    """The caption, with another concept in the place of one that it names alone of a family that excludes.

    answers: as CLIP and caption say together. best_of: which of several texts suits the picture best. allowed: whether
    a concept may be said."""
    changes: list[Rejected] = []
    for name, answer in answers.items():
        row = answer.ranked[0]
        if not answer.family.excludes or len(answer.claimed) != 1 or row == answer.claimed[0]:
            continue
        if answer.likelihoods[row] < SURE_TO_CHANGE:
            continue
        wordings, found = answer.concept(row).spoken, of_family(claims.read(caption), name)
        if not allowed(answer.concept(row)) or not found:
            continue
        texts = [replaced(caption, found, wording) for wording in wordings]
        chosen = best_of(texts)
        likelihood = float(answer.likelihoods[answer.claimed[0]])
        changes.append(Rejected(found[0].wording, name, "corrected", likelihood, against=wordings[chosen]))
        caption = texts[chosen]
    return Corrected(caption, tuple(changes))
