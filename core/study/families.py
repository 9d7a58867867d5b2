"""What a picture is made of, question by question: how likely each concept of a family is, and how far it is supported
(`core.evidence`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..errors import PhraseError

if TYPE_CHECKING:
    from torch import Tensor

    from ..evidence.likelihoods import Answer, Evidence

SURE = 0.5
"""A likelihood above which a concept is likelier than all else together."""


@dataclass(frozen=True)
class ConceptLikelihood:
    """wording: the usual one, as a prompt would say it. likelihood: 0..1, among the family's where they exclude each
    other, else of its being there or not. support: by how many deviations the picture is nearer to it than pictures
    are by chance."""

    concept: str
    wording: str
    likelihood: float
    support: float


@dataclass(frozen=True)
class FamilyAnalysis:
    """The concepts of a family that are likeliest in a picture, best first.

    about: the question they answer. excludes: whether one of them rules out the others. concepts: how many there are.
    none: how likely it is that none of them is true; None where one always is, or several may be."""

    family: str
    about: str
    excludes: bool
    concepts: int
    top: tuple[ConceptLikelihood, ...]
    none: float | None = None

    @property
    def sure(self) -> bool:
        """Whether it says something of the picture."""
        return self.top[0].likelihood > SURE

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON-ready values."""
        return {**asdict(self), "top": [asdict(each) for each in self.top]}


def analyse_families(
    evidence: Evidence, features: Tensor, names: Sequence[str] | None, top: int
) -> tuple[FamilyAnalysis, ...]:
    """Those that say something first, the surest before others. features: a picture's, [width]. names: of families;
    None for all."""
    answers = evidence.answers(features)
    chosen = answers.values() if names is None else [answers[name] for name in dict.fromkeys(names)]
    found = [_of_family(answer, top) for answer in chosen]
    return tuple(sorted(found, key=lambda each: -each.top[0].likelihood))


def check_families(names: Sequence[str], known: Sequence[str]) -> None:
    """PhraseError for a name that is no family's."""
    for name in names:
        if name not in known:
            raise PhraseError(f"There is no family {name!r}", f"choose from {', '.join(known)}")


def _of_family(answer: Answer, top: int) -> FamilyAnalysis:
    family = answer.family
    none = max(0.0, 1 - float(answer.likelihoods.sum())) if family.excludes and not family.always else None
    entries = tuple(
        ConceptLikelihood(
            answer.concept(row).name,
            answer.concept(row).wordings[0],
            float(answer.likelihoods[row]),
            float(answer.supports[row]),
        )
        for row in answer.ranked[:top]
    )
    return FamilyAnalysis(family.name, family.about, family.excludes, len(family.concepts), entries, none)
