"""What a text's own embedding is to meet of a picture: where it lies, and what it answers in the families of concepts.

Plain nearness leaves out what a CLIP tells of a picture without fail, such as its shape or colour, since little of the
distance depends on it. So directions in which texts differ little count for more, and the answers are asked for too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, log_softmax, normalize

_ADDED = 0.5


@dataclass(frozen=True)
class Questions:
    """How texts of one encoder answer in families of concepts.

    vectors [concepts, width]: of each concept the mean of its wordings' embeddings. centre [width]: the mean of texts'
    embeddings. families: the concepts of each family that excludes. scale: of logits."""

    vectors: Tensor
    centre: Tensor
    families: Sequence[slice]
    scale: float

    def to(self, device: torch.device) -> Questions:
        """Copied: what was made in inference mode takes no part in a gradient."""
        vectors, centre = (each.to(device, copy=True) for each in (self.vectors, self.centre))
        return Questions(vectors, centre, self.families, self.scale)


@dataclass(frozen=True)
class Measure:
    """How far embeddings are apart. centre [width]: of texts'. whitening [width, width]."""

    centre: Tensor
    whitening: Tensor

    @classmethod
    def of(cls, centre: Tensor, covariance: Tensor) -> Measure:
        """covariance [width, width]: of texts about their centre. To each direction's variance a
        share of their mean is added, so that few texts, and directions of noise, do not decide."""
        variances, directions = torch.linalg.eigh(covariance.double())
        mean = variances.clamp(min=0).mean()
        kept = variances.clamp(min=0) + _ADDED * mean
        return cls(centre, ((directions * (mean / kept).sqrt()) @ directions.T).float())

    def to(self, device: torch.device) -> Measure:
        return Measure(self.centre.to(device), self.whitening.to(device))

    def distances(self, unit: Tensor, target: Tensor) -> Tensor:
        """[texts], of normalised embeddings [texts, width] each: one less the cosine about the centre, whitened."""
        apart = [(each - self.centre) @ self.whitening for each in (unit, target)]
        return 1 - cosine_similarity(*apart, dim=-1)


@dataclass(frozen=True)
class Aim:
    """Of texts [texts] one by one.

    target: normalised embeddings [texts, width]. measure: of the distance. answers: likelihoods [texts, concepts] of
    the questions', of each family 1 at most together. weight: of the answers beside the distance."""

    target: Tensor
    measure: Measure
    questions: Questions | None = None
    answers: Tensor | None = None
    weight: float = 1.0

    def losses(self, embeddings: Tensor) -> Tensor:
        """[texts], of embeddings [texts, width] of any length: the distance, and the cross-entropy of each family's
        answers."""
        unit = normalize(embeddings, dim=-1)
        losses = self.measure.distances(unit, self.target)
        if self.questions is None or self.answers is None:
            return losses
        asked = self.questions
        logits = (unit - asked.centre) @ asked.vectors.T * asked.scale
        for rows in asked.families:
            losses = losses - self.weight * (self.answers[:, rows] * log_softmax(logits[:, rows], dim=-1)).sum(dim=-1)
        return losses
