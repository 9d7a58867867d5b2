"""The pooled vector, which stands beside the states: what a text's end becomes, and a picture in its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from ..errors import ModelError
from ..phrases import Vocabulary
from ..phrases.composed import composed_prompts
from ..progress import SILENT, Progress
from .bank import Bank
from .conditioning import projected_pooled
from .families import Encoder, Family
from .gap import GapCorrection
from .projection import ClosedForms
from .ridge import SequenceMap
from .text_side import TextSide

_PROMPTS_FOR_LENGTHS = 256


class Pooling:
    """Of one family's text encoders, by name. text_projection: of the CLIP that sees, for encoders without their own.
    closed_forms: what has been measured. vocabulary: of which texts are composed."""

    def __init__(
        self,
        family: Family,
        sides: Mapping[str, TextSide],
        text_projection: Tensor | None,
        closed_forms: ClosedForms,
        vocabulary: Callable[[], Vocabulary],
        progress: Progress = SILENT,
    ) -> None:
        self._family = family
        self._sides = sides
        self._text_projection = text_projection
        self._closed_forms = closed_forms
        self._vocabulary = vocabulary
        self._progress = progress

    def of_text(self, end: Callable[[Encoder], Tensor]) -> Tensor | None:
        """end: gives each encoder's state of the text's end. None where the model does not listen to it and no
        projection is at hand. Raises ModelError where it does."""
        parts = [self._projected(encoder, end(encoder)) for encoder in self._family.pooled_of]
        present = [part for part in parts if part is not None]
        return torch.cat([part.to(present[0]) for part in present]) if len(present) == len(parts) else None

    def of_picture(
        self, joint: Tensor, texts: Callable[[], SequenceMap | Bank], gap: GapCorrection | None, states: Tensor
    ) -> Tensor | None:
        """The picture's embedding where texts are, at the texts' mean length. Where ends are not projected it is the
        last of the states [positions, width], which are padded with ends, and nothing needs to be known of texts. None,
        and raises, as `of_text` does."""
        if not self._family.pooled_by:
            return states[-1]
        if self._projection is None:
            return None
        corrected = joint
        if gap is not None:
            corrected = gap.centred(joint, texts().spread) + texts().centre.to(joint)
        return projected_pooled(corrected, self._length)

    def _projected(self, encoder: Encoder, end: Tensor) -> Tensor | None:
        if encoder.name != self._family.pooled_by:
            return end
        return None if self._projection is None else end @ self._projection.to(end).T

    @cached_property
    def _projection(self) -> Tensor | None:
        """[joint width, width] of the encoder whose end is projected."""
        encoder = self._family.encoder(self._family.pooled_by)
        own = self._sides[encoder.name].weights.projection
        if not self._family.takes_pooled:
            found = self._text_projection if own is None else own
            return found if found is not None and len(found) == self._family.pooled_width else None
        if own is None:
            raise ModelError(
                f"{self._family.title}'s text encoder {encoder.name} has no projection",
                f"give the whole CLIP {encoder.clip}",
            )
        return own

    @cached_property
    def _length(self) -> float:
        """Mean length of what texts' ends are projected to; where nobody listens to it, the empty prompt's will do."""
        side = self._sides[self._family.pooled_by]
        # LoRAs turn what texts become far more than they stretch it
        side = side if side.plain is None else side.plain()
        side = replace(side, weights=replace(side.weights, projection=self._projection))
        heard = self._family.takes_pooled
        prompts = composed_prompts(self._vocabulary(), _PROMPTS_FOR_LENGTHS) if heard else ("",)
        return self._closed_forms.projected_length(side, prompts, self._progress)
