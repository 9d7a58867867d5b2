"""From the joint space to where another encoder's texts lie, learned from texts that both have read.

SDXL listens to two text encoders, and pictures are seen in the joint space of one. What the other's texts become is the
state of their end, before any projection; a picture's place there is what ridge regression makes of its embedding.

LoRAs on the other encoder are no reason to learn anew: of 128 texts is learned how the ends differ (see
`..correcting`). On micro, whose tower without its last block stood for another encoder, a corrected crossing explains
.966, .963 and .955 of the variance of other texts' ends that LoRAs have moved by 6, 12 and 20 %; one that is learned of
all texts .967, .964 and .959, the one without LoRAs .964, .954 and .930.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...clip import Clip
from ...clip.layers import LAST
from ...clip.text_tower import TextTower
from ...cures import Give
from ...errors import ModelError
from ...evidence.likelihoods import Evidence, wordings
from ...files import replace_whole
from ...foreign import Unreadable, read_header, read_tensors
from ...progress import SILENT, Progress
from ..correcting import Difference, difference_map
from ..learning import encode_beside
from ..pruning import prune, used
from ..ridge import SequenceMap
from ..text_side import TextSide
from .aim import Measure, Questions
from .space import Placing, Space, excluding

_STRENGTH = 3e-3
"""Of the ridge, as a share of the inputs' variance."""
_TENSORS = {"matrix": 2, "origin": 1, "centre": 1, "covariance": 2, "vectors": 2}


@dataclass(frozen=True)
class Crossing:
    """From the joint space to another encoder's, learned from texts that both have read: the states of their ends,
    about their mean. matrix [joint width, width], origin [joint width], centre [width]; covariance [width, width], of
    the ends at length 1; vectors [concepts, width]."""

    matrix: Tensor
    origin: Tensor
    centre: Tensor
    covariance: Tensor
    vectors: Tensor

    @classmethod
    def learned(cls, joint: Tensor, ends: Tensor, vectors: Tensor) -> Crossing:
        """By ridge regression, of texts [texts, joint width] and their ends' states [texts, width]. vectors: states
        of each concept's wordings' ends, their mean."""
        origin, centre = joint.mean(dim=0), ends.mean(dim=0)
        x, y = (joint - origin).double(), (ends - centre).double()
        gram = x.T @ x
        gram.diagonal().add_(_STRENGTH * float(gram.trace()))
        matrix = torch.linalg.solve(gram, x.T @ y)
        unit = normalize(y, dim=-1)
        covariance = torch.cov(unit.T).float().contiguous()
        # in the order that a file has them: products of another order round otherwise
        return cls(matrix.float().contiguous(), origin, centre, covariance, vectors - centre)

    def corrected(self, difference: SequenceMap, concepts: Tensor) -> Crossing:
        """Of the same encoder with LoRAs. difference: of its ends' states. concepts [concepts, joint width]: their
        embeddings, by which their states are moved. The covariance stays: the right one moved no distance by more than
        .006 in the trial above."""
        moved = difference.left @ difference.right[:, 0]
        return replace(
            self,
            matrix=self.matrix + moved,
            centre=self.centre + difference.states(self.origin)[0],
            vectors=self.vectors + (concepts - self.origin) @ moved,
        )

    def space(self, placing: Placing, evidence: Evidence | None) -> Space:
        questions = None
        if evidence is not None:
            # as sharp as in the joint space: by how far the concepts are apart in either
            lengths = self.vectors.norm(dim=1).mean()
            own = _apart(self.vectors / lengths)
            scale = evidence.scale * (_apart(evidence.vectors) / own) ** 2
            nowhere = torch.zeros_like(self.centre)
            questions = Questions(self.vectors / lengths, nowhere, excluding(evidence), scale)
        centre = self.centre

        def place(joint: Tensor) -> Tensor:
            inner = placing.placed(joint) - self.origin.to(joint.device)
            return normalize(inner @ self.matrix.to(inner), dim=-1)

        return Space(lambda ends: ends - centre.to(ends), place, self._measure, questions)

    @cached_property
    def _measure(self) -> Measure:
        return Measure.of(torch.zeros_like(self.centre), self.covariance)

    def save(self, path: Path) -> None:
        """Writes one safetensors file."""
        from safetensors.torch import save

        replace_whole(path, save({name: getattr(self, name).contiguous() for name in _TENSORS}))

    @classmethod
    def load(cls, path: Path) -> Crossing:
        """Raises Unreadable for what `save` did not write."""
        header = read_header(path)
        for name, ndim in _TENSORS.items():
            header.shape(name, "F32", ndim=ndim)
        tensors = read_tensors(path, list(_TENSORS))
        joint, width = tensors["matrix"].shape
        fits = (
            tensors["origin"].shape == (joint,)
            and tensors["centre"].shape == (width,) == tensors["vectors"].shape[1:]
            and tensors["covariance"].shape == (width, width)
        )
        if not fits or not all(bool(torch.isfinite(each).all()) for each in tensors.values()):
            raise Unreadable("its parts do not belong together")
        return cls(**{name: tensor.clone() for name, tensor in tensors.items()})


def load_or_learn(
    folder: Path,
    clip: Clip,
    side: TextSide,
    evidence: Evidence,
    texts: Sequence[str],
    progress: Progress = SILENT,
) -> Crossing:
    """From the folder, or learned and put there; a folder that cannot be written costs the next start the time. That of
    an encoder which is patched is that of the one without, corrected by a few texts."""
    if side.plain is not None:
        plain = side.plain()
        whole = load_or_learn(folder, clip, plain, evidence, texts, progress)
        apart = Difference(side, plain, ends_alone=True)
        learned_by = clip.fingerprint, encode_beside(clip, plain, progress), apart
        difference = difference_map(folder, *learned_by, LAST, texts, progress)
        return whole.corrected(difference, evidence.vectors)
    spoken = wordings(evidence.families)
    key = sha256("\n".join((clip.fingerprint, side.fingerprint, *spoken, *texts)).encode()).hexdigest()
    path = folder / f"crossing-{key[:32]}.safetensors"
    with suppress(Unreadable):  # not there, or learned again below
        crossing = Crossing.load(path)
        used(path)
        return crossing
    with progress.task(f"Learning from {len(spoken) + len(texts):,} texts where a second text encoder has them"):
        concepts = _concepts(_ends(side, spoken, progress), evidence)
        joint = torch.cat([clip.encode_texts(texts, progress).float().cpu(), evidence.vectors])
        ends = _ends(side, texts, progress)
        crossing = Crossing.learned(joint, torch.cat([ends, concepts]), concepts)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        crossing.save(path)
        prune(folder)
    return crossing


def _ends(side: TextSide, texts: Sequence[str], progress: Progress) -> Tensor:
    """States of the texts' ends [texts, width], not projected, in main memory. Raises ModelError for NaN."""
    weights = replace(side.weights, projection=None, projection_bias=None)
    # a host's may be held in several precisions
    tower = TextTower(weights.to(weights.device, weights.positions.dtype))
    start = tower.prefix([weights.start_of_text])
    room = tower.context_length - 2
    ends = tower.encode(start, [side.tokenizer.encode(text)[:room] for text in texts], progress.check).float().cpu()
    if not bool(torch.isfinite(ends).all()):
        raise ModelError("The second text encoder gives NaN", "check the model's weights", Give("precision", "exact"))
    return ends


def _concepts(ends: Tensor, evidence: Evidence) -> Tensor:
    """Of every concept the mean over its wordings, as `Evidence.vectors` has it in the joint space."""
    counts = [len(concept.spoken) for family in evidence.families for concept in family.concepts]
    return torch.stack([part.mean(dim=0) for part in ends.split(counts)])


def _apart(vectors: Tensor) -> float:
    return float((vectors - vectors.mean(dim=0)).pow(2).sum(dim=1).mean().sqrt())
