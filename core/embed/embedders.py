"""The embedders that one CLIP serves: each made when first asked for, for the text encoders as they are then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from ..clip import Clip
from ..clip.text_encoder import TowerEncoder
from ..phrases import Vocabulary
from ..progress import SILENT, Progress
from .embedder import Embedder, own_side
from .families import Encoder, Family
from .projection import ClosedForms
from .ridge import RidgeFit
from .soft.knowledge import Knowledge
from .text_side import TextSide

_KEPT = 4
"""What an embedder has learned takes up to 200 MB."""


class Embedders:
    """clip: see `Embedder`. folder: where what is learned is kept. load: gives the CLIP of a name, for what `clip` does
    not hold. closed_forms, knowledge: see `Embedder`."""

    def __init__(
        self,
        clip: Clip,
        vocabulary: Callable[[], Vocabulary],
        folder: Path,
        load: Callable[[str], Clip],
        progress: Progress = SILENT,
        closed_forms: ClosedForms | None = None,
        knowledge: Knowledge | None = None,
    ) -> None:
        self._clip = clip
        self._vocabulary = vocabulary
        self._folder = folder
        self._load = load
        self._progress = progress
        self._closed_forms = closed_forms or ClosedForms()
        self._knowledge = knowledge
        self._own: dict[Encoder, TextSide] = {}
        self._made: dict[tuple, Embedder] = {}

    def embedder(
        self,
        family: Family,
        fit: RidgeFit | None = None,
        encoders: Mapping[str, TextSide] | None = None,
        text_projection: Tensor | None = None,
    ) -> Embedder:
        """Of a family's text encoders, `encoders` or the CLIP's own.

        text_projection: where absent it is the CLIP's own, even for other encoders: the picture lies in that CLIP's
        joint space, and what a checkpoint holds under that name is often nobody's.
        """
        given = encoders or {}
        sides = {each.name: given.get(each.name) or self._own_side(family, each) for each in family.heard}
        # the embedder holds on to the projection, so that no other one can get its id
        key = (family.name, fit, *(side.fingerprint for side in sides.values()), id(text_projection))
        embedder = self._made.pop(key, None)
        if embedder is None:
            embedder = Embedder(
                self._clip,
                family,
                sides,
                self._vocabulary,
                self._folder,
                fit,
                self._own_projection() if text_projection is None else text_projection,
                self._progress,
                self._closed_forms,
                self._knowledge,
            )
        self._made[key] = embedder
        if len(self._made) > _KEPT:
            del self._made[next(iter(self._made))]
        return embedder

    def _own_side(self, family: Family, encoder: Encoder) -> TextSide:
        if encoder not in self._own:
            self._own[encoder] = own_side(self._clip, family, encoder, self._load)
        return self._own[encoder]

    def _own_projection(self) -> Tensor | None:
        text = self._clip.text
        return text.weights.projection if isinstance(text, TowerEncoder) else None
