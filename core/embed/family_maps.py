"""Ridge's maps of a family's text encoders: what texts teach, what one's own pictures teach, and what LoRAs change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from torch import Tensor

from ..clip import Clip
from ..phrases import Vocabulary
from ..phrases.composed import composed_prompts
from ..progress import SILENT, Progress
from .correcting import CORRECTION, Difference, corrected, difference_map
from .families import Encoder, Family
from .learning import encode_beside
from .lesson import Examples, Lesson, keep_lesson, kept_lesson
from .map_files import correction_key, load_or_fit, map_key
from .refit import refitted
from .ridge import RidgeFit, SequenceMap, fit_maps
from .text_side import TextSide


class FamilyMaps:
    """By encoder's name. An encoder that is patched takes the maps of the one without, corrected.

    clip: in whose joint space pictures are seen. vocabulary: gives the words of the texts to learn from. folder: where
    all is kept. fit: how texts are learned from, if anyone says so, who then wants what they teach."""

    def __init__(
        self,
        clip: Clip,
        family: Family,
        sides: Mapping[str, TextSide],
        vocabulary: Callable[[], Vocabulary],
        folder: Path,
        fit: RidgeFit | None = None,
        progress: Progress = SILENT,
    ) -> None:
        self._clip = clip
        self._family = family
        self._sides = sides
        self._vocabulary = vocabulary
        self._folder = folder
        self._fit = fit or RidgeFit()
        self._takes_lessons = fit is None
        self._progress = progress

    @cached_property
    def from_texts(self) -> Mapping[str, SequenceMap]:
        return {encoder.name: self._from_texts(encoder) for encoder in self._family.encoders}

    @cached_property
    def from_pictures(self) -> Mapping[str, SequenceMap]:
        """Empty where they have not been learned for all of the family's encoders."""
        if not self._takes_lessons:
            return {}
        kept = {encoder: self._kept(encoder) for encoder in self._family.encoders}
        found = {encoder: each for encoder, each in kept.items() if each is not None}
        if len(found) < len(kept):
            return {}
        return {encoder.name: self._as_patched(encoder, *each) for encoder, each in found.items()}

    def learn(self, features: Tensor, prompts: Sequence[str]) -> None:
        """See `refitted`. Raises what that and `keep_lesson` do."""
        found = {
            encoder: refitted(
                self.from_texts[encoder.name],
                self._sides[encoder.name],
                encoder.layer,
                features,
                prompts,
                self._progress,
            )
            for encoder in self._family.encoders
        }
        examples = Examples.of(features, tuple(prompts))
        for encoder, each in found.items():
            side = self._sides[encoder.name]
            keep_lesson(self._folder, self._clip.fingerprint, side, encoder.layer, each, examples)
        self.__dict__.pop("from_pictures", None)

    @cached_property
    def _texts(self) -> Sequence[str]:
        return composed_prompts(self._vocabulary(), self._fit.prompts)

    def _from_texts(self, encoder: Encoder) -> SequenceMap:
        side = self._sides[encoder.name]
        if side.plain is None:
            return self._whole(encoder, side)
        plain = side.plain()
        return corrected(self._whole(encoder, plain), self._difference(encoder, Difference(side, plain)))

    def _whole(self, encoder: Encoder, side: TextSide) -> SequenceMap:
        layers = (encoder.layer,)
        key = map_key(self._clip.fingerprint, side, layers, self._texts, self._fit)

        def fit() -> Mapping:
            encode = encode_beside(self._clip, side, self._progress)
            return fit_maps(encode, side, layers, self._texts, self._fit, self._progress)

        return load_or_fit(self._folder, key, layers, fit)[encoder.layer]

    def _difference(self, encoder: Encoder, difference: Difference) -> SequenceMap:
        encode = encode_beside(self._clip, difference.plain, self._progress)
        learned_by = self._clip.fingerprint, encode, difference
        return difference_map(self._folder, *learned_by, encoder.layer, self._texts, self._progress)

    def _kept(self, encoder: Encoder) -> tuple[Lesson, TextSide | None] | None:
        """The encoder's own lesson, else that of the one without patches, and that one."""

        def of(side: TextSide) -> Lesson | None:
            return kept_lesson(self._folder, self._clip.fingerprint, side, encoder.layer)

        side = self._sides[encoder.name]
        own = of(side)
        if own is not None or side.plain is None:
            return own and (own, None)
        plain = side.plain()
        lesson = of(plain)
        return lesson and (lesson, plain)

    def _as_patched(self, encoder: Encoder, lesson: Lesson, plain: TextSide | None) -> SequenceMap:
        """plain: whose lesson it is, where it is not the encoder's own."""
        if plain is None or lesson.examples is None:
            return lesson.map
        side, layers, examples = self._sides[encoder.name], (encoder.layer,), lesson.examples
        difference, some = Difference(side, plain), self._texts[: CORRECTION.prompts]
        key = correction_key(self._clip.fingerprint, side, plain, layers, some, CORRECTION, examples.digest)

        def fit() -> Mapping:
            from_texts = self._difference(encoder, difference)
            seen = examples.features, examples.prompts
            return {
                encoder.layer: refitted(
                    from_texts, difference, encoder.layer, *seen, self._progress, rank=CORRECTION.rank
                )
            }

        return corrected(lesson.map, load_or_fit(self._folder, key, layers, fit, "correction")[encoder.layer])
