"""What a text's own embedding is to meet of a picture: where it lies, and what it answers in the families of concepts.

Nearness alone leaves out what a CLIP tells of a picture without fail, such as its colour, since little of the distance
depends on it: so the loss asks for the answers as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import log_softmax, normalize


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
class Aim:
    """Of texts [texts] one by one.

    target: normalised embeddings [texts, width]. answers: likelihoods [texts, concepts] of the questions', of each
    family 1 at most together. weight: of the answers beside the distance."""

    target: Tensor
    questions: Questions | None = None
    answers: Tensor | None = None
    weight: float = 1.0

    def losses(self, embeddings: Tensor) -> Tensor:
        """[texts], of embeddings [texts, width] of any length: one less the cosine, and the cross-entropy of each
        family's answers."""
        unit = normalize(embeddings, dim=-1)
        losses = 1 - (unit * self.target).sum(dim=-1)
        if self.questions is None or self.answers is None:
            return losses
        asked = self.questions
        logits = (unit - asked.centre) @ asked.vectors.T * asked.scale
        for rows in asked.families:
            losses = losses - self.weight * (self.answers[:, rows] * log_softmax(logits[:, rows], dim=-1)).sum(dim=-1)
        return losses
