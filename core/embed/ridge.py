"""A map from the joint space to a text tower's states at every position, learned from text alone.

Ridge regression in closed form: with joint embeddings x of texts and their states y, both less their means, and
C = mean of x xT, the map is (C + l I)^-1 mean of x yT, where l is `RidgeFit.strength` times the trace of C. Sums are
gathered in chunks, so memory does not grow with the number of texts. Of all maps of a lower rank the one is kept whose
outputs for the fitted texts (and the penalty) lose least: with C + l I = L LT and B = L^-1 (mean of x yT) it keeps the
leading eigenvectors of B BT (reduced-rank ridge regression; Mukherjee and Zhu 2011).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..clip.layers import Layer
from ..errors import EmbeddingError, ModelError, SettingsError
from ..progress import SILENT, Progress
from .gap import GapCorrection
from .learning import FEWEST_TEXTS, Encode, Reader, chunks


@dataclass(frozen=True)
class RidgeFit:
    """prompts: how many texts. strength: of the ridge, as a share of the inputs' total variance. rank: of the map at
    most; None for what `bytes` allow. bytes: of one encoder's file at most, all layers together."""

    prompts: int = 4000
    strength: float = 3e-3
    rank: int | None = None
    bytes: int = 48_000_000

    def __post_init__(self) -> None:
        if self.prompts < FEWEST_TEXTS:
            raise SettingsError(f"is {self.prompts}", f"give {FEWEST_TEXTS} or more", control="learning_texts")
        if not 0 < self.strength < float("inf"):
            raise SettingsError(f"is {self.strength:g}", "give a number above 0", control="learning_strength")
        if self.rank is not None and self.rank < 1:
            raise SettingsError(f"is {self.rank}", "give 1 or more", control="learning_rank")

    def rank_for(self, joint: int, outputs: int, layers: int) -> int:
        """Two bytes a value of the right factor, which is nearly all of the file, besides the means."""
        room = (self.bytes // layers - 4 * outputs) // (2 * outputs + 4 * joint)
        return max(1, min(joint, room if self.rank is None else self.rank))

    def bytes_for(self, joint: int, outputs: int, layers: int) -> int:
        """Of one encoder's file, its header aside."""
        return layers * (self.rank_for(joint, outputs, layers) * (2 * outputs + 4 * joint) + 4 * outputs)


@dataclass(frozen=True)
class SequenceMap:
    """left [joint width, rank], right [rank, 77, width], mean [77, width] of the states, centre [joint width] of the
    texts' embeddings and spread, their root mean square distance from it."""

    left: Tensor
    right: Tensor
    mean: Tensor
    centre: Tensor
    spread: float

    def states(self, joint: Tensor, gap: GapCorrection | None = None) -> Tensor:
        """States [77, width] (or [n, 77, width]) for normalised embeddings [joint width] (or [n, joint width]): of
        texts, or of pictures with the correction that takes them to where texts are.

        Raises EmbeddingError for another width."""
        if joint.shape[-1] != len(self.centre):
            raise EmbeddingError(
                f"The picture's embedding is {joint.shape[-1]} wide, but the map is for {len(self.centre)}",
                "take the CLIP that the map was fitted with",
            )
        inner = joint.to(self.centre)
        inner = inner - self.centre if gap is None else gap.centred(inner, self.spread)
        return ((inner @ self.left) @ self.right.flatten(1)).unflatten(-1, self.mean.shape) + self.mean


def fit_maps(
    encode: Encode | None,
    side: Reader,
    layers: Sequence[Layer],
    prompts: Sequence[str],
    fit: RidgeFit | None = None,
    progress: Progress = SILENT,
) -> Mapping[Layer, SequenceMap]:
    """One map for each layer of a text encoder.

    Raises ModelError where an encoder gives NaN, SettingsError for too few prompts.
    """
    fit = fit or RidgeFit(max(len(prompts), FEWEST_TEXTS))
    width = side.output_width if encode is None else encode(prompts[:1]).shape[-1] if prompts else 0
    nbytes = fit.bytes_for(width, side.positions * side.width, len(layers))
    sums: Sums | None = None
    for chunk in chunks(encode, side, layers, prompts, nbytes, progress):
        sums = sums or Sums.begin(chunk.joint, chunk.states)
        sums.add(chunk.joint, chunk.states)
    assert sums is not None
    return dict(zip(layers, sums.solve(fit), strict=True))


class Sums:
    """Sums over texts of embeddings, states and their products. All are taken about the first chunk's means, so that
    subtracting the means at the end loses no digits."""

    def __init__(self, origin: Tensor, origins: Sequence[Tensor]) -> None:
        width = len(origin)
        self._origin, self._origins = origin, origins
        self._count = 0
        self._x = origin.new_zeros(width, dtype=torch.float64)
        self._xx = origin.new_zeros(width, width, dtype=torch.float64)
        self._y = [each.new_zeros(each.numel()) for each in origins]
        self._xy = [each.new_zeros(width, each.numel()) for each in origins]

    @classmethod
    def begin(cls, joint: Tensor, states: Sequence[Tensor]) -> Sums:
        return cls(joint.mean(dim=0), [each.mean(dim=0) for each in states])

    def add(self, joint: Tensor, states: Sequence[Tensor]) -> None:
        x = joint - self._origin
        self._count += len(x)
        self._x += x.double().sum(dim=0)
        self._xx += x.double().T @ x.double()
        for layer, each in enumerate(states):
            y = (each - self._origins[layer]).flatten(1)
            self._y[layer] += y.sum(dim=0)
            self._xy[layer].addmm_(x.T, y)

    def solve(self, fit: RidgeFit, towards: Sequence[SequenceMap] = ()) -> list[SequenceMap]:
        """Uses the sums up. towards: for each layer the map that the penalty draws to, of inputs about their centre as
        these are about their mean; nothing where there is none."""
        x = self._x / self._count
        covariance = self._xx / self._count - torch.outer(x, x)
        variance = float(covariance.trace())
        if not variance > 0 or any(not bool(torch.isfinite(each).all()) for each in self._y):
            raise ModelError("The text encoder gives NaN, or the same for every text", "check the model's weights")
        covariance.diagonal().add_(fit.strength * variance)
        root = torch.linalg.cholesky(covariance)
        maps = []
        layers = len(self._y)
        for _ in range(layers):
            origin, y, xy = self._origins[len(maps)], self._y.pop(0) / self._count, self._xy.pop(0)
            rank = fit.rank_for(len(x), len(y), layers)
            xy.div_(self._count).addr_(x.float(), y, alpha=-1)
            if towards:
                near = towards[len(maps)]
                xy.addmm_(near.left.to(xy), near.right.flatten(1).to(xy), alpha=fit.strength * variance)
            left, right = _reduced(root, xy, rank)
            centre = (self._origin + x.float()).float()
            mean = origin + y.view_as(origin)
            maps.append(SequenceMap(left, right.view(rank, *origin.shape), mean, centre, variance**0.5))
        return maps


def _reduced(root: Tensor, xy: Tensor, rank: int) -> tuple[Tensor, Tensor]:
    """Of the map root^-T root^-1 xy the factors [joint, rank] and [rank, outputs] of its best form of that rank."""
    inverse = torch.linalg.solve_triangular(
        root, torch.eye(len(root), dtype=root.dtype, device=root.device), upper=False
    )
    gram = inverse @ (xy @ xy.T).double() @ inverse.T
    leading = torch.linalg.eigh(gram).eigenvectors[:, -rank:]
    left = inverse.T @ leading
    return left.float(), left.T.float() @ xy
