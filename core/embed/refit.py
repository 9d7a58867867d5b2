"""Ridge's maps learned again, from pictures and the prompts that were found for them.

With x the pictures' embeddings, moved to where texts are, y the states of their prompts, both less their means,
C = mean of x xT, m = `STRENGTH` times the trace of C, and A the map that was learned from texts alone, the map is
(C + m I)^-1 (mean of x yT + m A): what the pictures do not tell is as the texts have it. It knows where its pictures
lie, so it takes a picture as the CLIP sees it.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ..clip.layers import Layer
from ..progress import SILENT, Progress
from .gap import GapCorrection
from .learning import TEXTS_AT_ONCE, Reader, check_pictures
from .ridge import RidgeFit, SequenceMap, Sums

STRENGTH = 3e-2
"""Fixed before the trial that showed it better than ridge (docs/embed.md), not chosen."""


def refitted(
    base: SequenceMap,
    side: Reader,
    layer: Layer,
    features: Tensor,
    prompts: Sequence[str],
    progress: Progress = SILENT,
    rank: int | None = None,
) -> SequenceMap:
    """base: the map from texts, of what `side` reads. features: normalised joint embeddings of pictures [pictures,
    joint width]. prompts: found for them. rank: see `RidgeFit`. Raises SettingsError for too few pictures, or all the
    same, ModelError for an encoder's NaN."""
    check_pictures(len(prompts))
    gap = GapCorrection.measured(features)
    moved = gap.centred(features.float(), base.spread).to(base.left.device)
    sums: Sums | None = None
    with progress.task(f"Learning from {len(prompts):,} pictures and their prompts", len(prompts), "pictures") as task:
        for start in range(0, len(prompts), TEXTS_AT_ONCE):
            some = slice(start, start + TEXTS_AT_ONCE)
            (states,), _ = side.states(prompts[some], (layer,), progress.check)
            inputs, states = moved[some], states.to(moved.device)
            sums = sums or Sums.begin(inputs, [states])
            sums.add(inputs, [states])
            task.advance(len(inputs))
    assert sums is not None
    (found,) = sums.solve(RidgeFit(strength=STRENGTH, rank=rank), [base])
    at_rest = ((found.centre @ found.left) @ found.right.flatten(1)).view_as(found.mean)
    # what takes a picture to where texts are becomes part of the map
    left = found.left * (base.spread / gap.spread)
    return SequenceMap(left, found.right, found.mean - at_rest, gap.centre.to(left), gap.spread)
