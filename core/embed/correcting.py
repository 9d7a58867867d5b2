"""What LoRAs change of a text encoder's map, learned from a few texts that the encoder reads with and without them.

The map of the encoder without them takes thousands of texts and is learned once. How the states differ takes far fewer:
what the two encoders have in common, and no map explains, is not in the difference. On micro, 128 texts bring a map
that LoRAs have moved by 6, 12 and 20 % to within .000, .001 and .002 of what 4,000 texts give, of the variance that a
map explains at all (.66).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..clip.layers import LAST, Layer
from ..progress import SILENT, Check, Progress
from .learning import Encode
from .map_files import correction_key, load_or_fit
from .ridge import RidgeFit, SequenceMap, fit_maps
from .text_side import TextSide

CORRECTION = RidgeFit(prompts=128, strength=3e-2, rank=32)


class Difference:
    """How a text encoder's states differ from its own without patches, as a fit reads them."""

    def __init__(self, side: TextSide, plain: TextSide) -> None:
        self._side, self._plain = side, plain
        self.width, self.output_width = side.width, plain.weights.output_width

    def states(
        self, texts: Sequence[str], layers: Sequence[Layer] = (LAST,), check: Check = SILENT.check
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        states, ends = self._side.states(texts, layers, check)
        plain, _ = self._plain.states(texts, layers, check)
        return tuple(each - other for each, other in zip(states, plain, strict=True)), ends

    def states_and_embeddings(
        self, texts: Sequence[str], layers: Sequence[Layer] = (LAST,), check: Check = SILENT.check
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """The embeddings are the plain encoder's, in whose joint space pictures are seen."""
        states, _ = self._side.states(texts, layers, check)
        plain, joint = self._plain.states_and_embeddings(texts, layers, check)
        return tuple(each - other for each, other in zip(states, plain, strict=True)), joint


def corrected(base: SequenceMap, difference: SequenceMap) -> SequenceMap:
    """The sum of a map and of how it differs, as one map about the base's centre."""
    about = (base.centre - difference.centre) @ difference.left
    offset = (about @ difference.right.flatten(1)).view_as(difference.mean)
    left, right = torch.cat([base.left, difference.left], dim=1), torch.cat([base.right, difference.right])
    return SequenceMap(left, right, base.mean + difference.mean + offset, base.centre, base.spread)


def load_or_correct(
    folder: Path,
    base: Callable[[TextSide], SequenceMap],
    joint_fingerprint: str,
    encode: Encode | None,
    side: TextSide,
    layer: Layer,
    prompts: Sequence[str],
    progress: Progress = SILENT,
) -> SequenceMap:
    """The map of an encoder that is patched. base: gives that of the encoder without. encode: see `Encode`, of the
    encoder without. Raises what `fit_maps` does."""
    assert side.plain is not None
    plain, some = side.plain(), prompts[: CORRECTION.prompts]
    whole = base(plain)
    key = correction_key(joint_fingerprint, side, plain, (layer,), some, CORRECTION)

    def fit() -> Mapping[Layer, SequenceMap]:
        return fit_maps(encode, Difference(side, plain), (layer,), some, CORRECTION, progress)

    return corrected(whole, load_or_fit(folder, key, (layer,), fit, "correction")[layer])
