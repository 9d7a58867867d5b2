"""Where an encoder's texts lie, where a picture would lie among them, and what is asked of both there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor
from torch.nn.functional import linear, normalize

from ...clip.weights import TowerWeights
from ...evidence.bank import Bank
from ...evidence.likelihoods import Evidence
from ..gap import GapCorrection
from ..text_projection import projection_for
from .aim import Measure, Questions


@dataclass(frozen=True)
class Space:
    """project: of texts' end states [n, encoder width] their embeddings [n, width] there. place: where pictures would
    be among the texts, of their joint embeddings [n, joint width]: normalised [n, width]. measure: of distances there.
    questions: None where none is asked."""

    project: Callable[[Tensor], Tensor]
    place: Callable[[Tensor], Tensor]
    measure: Measure
    questions: Questions | None


@dataclass(frozen=True)
class Placing:
    """How a picture is moved to where texts are. texts: where those lie in the joint space. gap: None where it is not
    known where pictures lie, who then stay where they are. share: of the way that is gone."""

    texts: Bank
    gap: GapCorrection | None
    share: float = 1.0

    def placed(self, joint: Tensor) -> Tensor:
        own = normalize(joint.float(), dim=-1)
        if self.gap is None:
            return own
        centre, spread = self.texts.mean.to(own), float(self.texts.covariance.trace().sqrt())
        moved = normalize(self.gap.centred(own, spread) + centre, dim=-1)
        return normalize((1 - self.share) * own + self.share * moved, dim=-1)

    def nearness(self, joint: Tensor, texts: Tensor) -> Tensor:
        """The cosine of each picture, gone the whole way, with the embedding of its text, or each of several: [n]."""
        whole = replace(self, share=1.0).placed(joint)
        return (normalize(texts.float(), dim=-1) * whole.to(texts.device)).sum(dim=-1)


def joint_space(
    weights: TowerWeights, projection: Tensor | None, placing: Placing, measure: Measure, evidence: Evidence | None
) -> Space:
    """Of the encoder in whose CLIP's joint space pictures are seen. projection: in place of its own. Raises ModelError
    for an unusable one."""
    matrix = projection_for(weights, projection, len(placing.texts.mean)).to(weights.device).clone()
    bias = None if weights.projection_bias is None else weights.projection_bias.detach().float().clone()
    questions = None
    if evidence is not None:
        questions = Questions(evidence.vectors, placing.texts.mean, excluding(evidence), evidence.scale)
    return Space(lambda ends: linear(ends, matrix, bias), placing.placed, measure, questions)


def excluding(evidence: Evidence) -> list[slice]:
    """The rows of each family that has one answer."""
    slices, start = [], 0
    for family in evidence.families:
        rows = slice(start, start + len(family.concepts))
        start = rows.stop
        if family.excludes and len(family.concepts) > 1:
            slices.append(rows)
    return slices
