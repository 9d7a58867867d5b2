"""How likely each concept of a family is, as a CLIP sees a picture and as a caption says.

A concept's score is the mean, over its wordings, of their similarities to the picture less what each has to pictures in
general. Its likelihood is its share in the softmax over the family at the trust's temperature; of a family that not
every picture has an answer to, "none of them" takes part with the score of pictures in general, zero, and the weight
of all the family's concepts together. Concepts that do not exclude each other have none but that to compete with. Its
support is the score in deviations of what pictures in general get.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ..phrases.families import Claim, Claims, Concept, Family
from .bank import Bank
from .trust import SHARE_OF_CAPTION, SHARE_OF_CAPTIONER, Testimony, Trust, learned, softmax

if TYPE_CHECKING:
    from ..clip import Clip
    from ..phrases.table import PhraseTable

SURE_TO_SAY = 0.5
"""How likely a concept has to be that a prompt says it: by validation in the middle world (benchmarks/truth.py)."""


@dataclass(frozen=True)
class Answer:
    """What is known of a family. likelihoods [concepts], of excluding ones 1 at most together; supports [concepts], in
    deviations. claimed: the rows of the concepts that the caption names."""

    family: Family
    likelihoods: np.ndarray
    supports: np.ndarray
    claimed: tuple[int, ...] = ()

    @property
    def ranked(self) -> list[int]:
        """Rows, the likeliest first, of equals the first."""
        return np.argsort(-self.likelihoods, kind="stable").tolist()

    def concept(self, row: int) -> Concept:
        return self.family.concepts[row]


class Evidence:
    """Of one CLIP, over families. table: of `wordings(families)`, in their order.

    scale: of logits, by which differences of scores become likelihoods."""

    def __init__(self, clip: Clip, families: Sequence[Family], table: PhraseTable, bank: Bank) -> None:
        self.families, self.bank = tuple(families), bank
        self.claims = Claims(families)
        self.scale = bank.trust.temperature or clip.logit_scale
        embeddings = table.embeddings.float().cpu()
        self._rows: dict[str, list[slice]] = {}
        concepts, start = [], 0
        for family in families:
            self._rows[family.name] = []
            for concept in family.concepts:
                rows = slice(start, start + len(concept.spoken))
                self._rows[family.name].append(rows)
                concepts.append(embeddings[rows].mean(dim=0))
                start = rows.stop
        self._vectors = torch.stack(concepts) if concepts else torch.empty(0, len(bank.mean))
        self._of_family = _slices(families)

    @property
    def vectors(self) -> Tensor:
        """Of every concept, family by family: the mean of its wordings' embeddings, float32 [concepts, joint width]."""
        return self._vectors

    @cached_property
    def deviations(self) -> np.ndarray:
        """Of every concept's score over pictures in general."""
        return deviations(self._vectors, self.bank)

    def scores(self, features: Tensor) -> np.ndarray:
        """Of every concept, for pictures [pictures, joint width] or one [joint width]."""
        return ((features.float().cpu() - self.bank.mean) @ self._vectors.T).numpy()

    def answers(self, features: Tensor, caption: str = "") -> dict[str, Answer]:
        """By family's name, for a picture [joint width]. caption: the second witness, empty for none."""
        scores, claims = self.scores(features).astype(np.float64), self.claims.read(caption)
        supports = scores / self.deviations
        return {
            family.name: self._answer(family, scores[rows], supports[rows], claims)
            for family, rows in self._of_family.items()
        }

    def _answer(self, family: Family, scores: np.ndarray, supports: np.ndarray, claims: Sequence[Claim]) -> Answer:
        names = {claim.concept.name for claim in claims if claim.family is family}
        claimed = tuple(row for row, concept in enumerate(family.concepts) if concept.name in names)
        return Answer(family, self._likelihoods(family, scores, claimed), supports, claimed)

    def weighed(self, answer: Answer, scores: np.ndarray, said: np.ndarray | None = None) -> Answer:
        """The answer of a family that excludes with other scores [concepts] of the CLIP's; -inf for what is out of the
        question. said: the logarithms of how likely the captioner is to say each [concepts], in the place of what it
        claims."""
        if said is None:
            return replace(answer, likelihoods=self._likelihoods(answer.family, scores, answer.claimed))
        logits = scores * self.scale + SHARE_OF_CAPTIONER * said
        return replace(answer, likelihoods=_of_one(answer.family, logits, (), 0.0))

    def _likelihoods(self, family: Family, scores: np.ndarray, claimed: Sequence[int]) -> np.ndarray:
        reliability = self.bank.trust.caption(family.name)
        return (_of_one if family.excludes else _of_each)(family, scores * self.scale, claimed, reliability)

    def learned(self, features: Tensor, captions: Sequence[str]) -> Trust:
        """From pictures [pictures, joint width] and what a captioner said of them: how far both may be believed.
        Counted are families that have one answer, where the caption names one concept."""
        scores, claims = self.scores(features), [self.claims.read(caption) for caption in captions]
        told = [
            Testimony(family.name, scores[:, rows], np.array([_only_claim(family, each) for each in claims]))
            for family, rows in self._of_family.items()
            if family.excludes
        ]
        return learned(told, len(captions))


def _of_one(family: Family, logits: np.ndarray, claimed: Sequence[int], reliability: float) -> np.ndarray:
    """[concepts], of which one is true, or where not every picture has one, none."""
    shares = softmax(logits if family.always else np.append(logits, np.log(len(logits))))
    if claimed:
        own = np.full(len(shares), (1 - reliability) / max(1, len(shares) - len(claimed)))
        own[list(claimed)] = reliability / len(claimed)
        shares = shares * own**SHARE_OF_CAPTION
        shares /= shares.sum()
    return shares[: len(logits)]


def _of_each(family: Family, logits: np.ndarray, claimed: Sequence[int], reliability: float) -> np.ndarray:
    """[concepts], each of which is true or not; of what a caption does not name it says nothing."""
    against = np.full(len(logits), np.log(len(logits)))
    against[list(claimed)] -= SHARE_OF_CAPTION * np.log(reliability / (1 - reliability))
    return softmax(np.stack([logits, against], axis=-1))[:, 0]


def wordings(families: Sequence[Family]) -> tuple[str, ...]:
    """That a CLIP is asked with, of all concepts, family by family."""
    return tuple(wording for family in families for concept in family.concepts for wording in concept.spoken)


def deviations(vectors: Tensor, bank: Bank, at_once: int = 8192) -> np.ndarray:
    """By how much vectors' [n, joint width] products with a picture vary over the bank: float64 [n], above zero."""
    parts = [((some @ bank.covariance) * some).sum(dim=1) for some in map(Tensor.float, vectors.cpu().split(at_once))]
    variances = torch.cat(parts) if parts else torch.empty(0)
    return variances.clamp(min=1e-12).sqrt().double().numpy()


def _only_claim(family: Family, claims: Sequence[Claim]) -> int:
    names = {claim.concept.name for claim in claims if claim.family is family}
    rows = [row for row, concept in enumerate(family.concepts) if concept.name in names]
    return rows[0] if len(rows) == 1 else -1


def _slices(families: Sequence[Family]) -> Mapping[Family, slice]:
    found, start = {}, 0
    for family in families:
        found[family] = slice(start, start + len(family.concepts))
        start += len(family.concepts)
    return found
