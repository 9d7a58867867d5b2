"""From pictures to the prompt embedding of one family: what is fitted or measured once, and what each picture takes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from torch import Tensor

from ..clip import Clip
from ..cures import Choose, Give
from ..errors import ModelError, SettingsError
from ..phrases import Vocabulary
from ..phrases.composed import composed_prompts
from ..phrases.swapping import swapped
from ..progress import SILENT, Progress
from ..prompt.together import check_weights
from .bank import Bank, bank_bytes, load_or_make
from .composing import blended, check_mix, check_strength, mixed
from .conditioning import assembled, projected_pooled
from .embedding import PromptEmbedding
from .families import Encoder, Family
from .gap import GapCorrection
from .kinds import PROJECTIONS, Mix, Projection
from .learning import Chunk, Encode, chunks
from .map_files import bank_key, load_or_fit, map_key
from .projection import PUBLISHED_ALPHA, ClosedForm, ClosedForms, check_alpha, edited, is_published_model
from .recommended import recommended
from .ridge import RidgeFit, SequenceMap, fit_maps
from .text_side import TextSide

_PROMPTS_FOR_NORMS = 256
_MOST_CORRECTION = 4.0
UNDESCRIBED = "The projection anchored needs a prompt that describes each picture"


@dataclass(frozen=True)
class Blend:
    """How pictures become one embedding.

    weights, mix: of several pictures (see `composing.mixed`).
    text: a prompt that stays in force: with "pinv" in the edit form with alpha, with "anchored" in the anchor's place,
    with the others by a strength below 1.
    strength: from the text's own embedding (of the empty prompt where there is none) at 0 to the picture's at 1.
    anchor: with "anchored" the prompt that describes the pictures; None for the interrogated one. correction: how much
    of what the map sees in the picture beyond the anchor is added to the prompt's own states.
    temperature: of the weights of "bank"'s neighbours, by the cosine of their directions.
    swaps: with "anchored", phrases by the category of the vocabulary whose phrases they replace in the prompt.
    """

    weights: Sequence[float] | None = None
    mix: Mix = "mean"
    text: str = ""
    alpha: float = PUBLISHED_ALPHA
    strength: float = 1.0
    anchor: str | None = None
    correction: float = 0.25
    temperature: float = 0.05
    swaps: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_mix(self.mix)
        check_alpha(self.alpha)
        check_strength(self.strength)
        if not (math.isfinite(self.correction) and 0 <= self.correction <= _MOST_CORRECTION):
            raise SettingsError(
                f"is {self.correction:g}", f"give a number from 0 to {_MOST_CORRECTION:g}", control="correction"
            )
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise SettingsError(f"is {self.temperature:g}", "give a number above 0", control="temperature")


class Embedder:
    """Makes embeddings for one family from what one CLIP sees.

    clip: whose vision tower sees the picture, and whose text tower the inputs of a fit come from.
    sides: the family's text encoders by name. vocabulary: gives the words of the prompts to learn from.
    folder: where fitted maps are kept. text_projection: in place of the encoder's own, for checkpoints that have none.
    closed_forms: that are made already, with lengths that are measured, and where more are kept.
    """

    def __init__(
        self,
        clip: Clip,
        family: Family,
        sides: Mapping[str, TextSide],
        vocabulary: Callable[[], Vocabulary],
        folder: Path,
        fit: RidgeFit | None = None,
        text_projection: Tensor | None = None,
        progress: Progress = SILENT,
        closed_forms: ClosedForms | None = None,
    ) -> None:
        self.family = family
        self._clip = clip
        self._sides = {encoder.name: _fitting(sides, encoder, family) for encoder in family.encoders}
        self._vocabulary = vocabulary
        self._folder = folder
        self._fit = fit or RidgeFit()
        self._text_projection = text_projection
        self._progress = progress
        self._closed_forms = closed_forms or ClosedForms()

    def embed(
        self,
        features: Tensor,
        pictures: Sequence[str],
        projection: Projection | None = None,
        blend: Blend | None = None,
        gap: GapCorrection | None = None,
        anchors: Sequence[str] = (),
    ) -> PromptEmbedding:
        """features: normalised joint embeddings [pictures, joint width]. pictures: their hashes (`image_key`).
        gap: takes out the difference between pictures and texts; without it all but "pinv" get pictures as if they were
        texts. anchors: a prompt for each picture, which "anchored" needs where the blend gives none for all.

        Raises SettingsError, EmbeddingError, ModelError."""
        blend, chosen = blend or Blend(), self.choice(projection)
        if blend.anchor is not None:
            anchors = [blend.anchor] * len(pictures)
        check_blend(blend, len(pictures), chosen)
        if chosen == "anchored" and len(anchors) != len(pictures):
            raise SettingsError(UNDESCRIBED, Give("anchor", "one"))
        singles = []
        for number, joint in enumerate(features):
            if chosen == "anchored":
                made = self._anchored(joint, anchors[number], blend, gap)
            else:
                made = self._pinv(joint, blend) if chosen == "pinv" else self._learned(joint, chosen, blend, gap)
            singles.append(replace(made, picture=pictures[number], fingerprint=self.fingerprint, projection=chosen))
        whole = mixed(singles, blend.weights, blend.mix)
        # at full strength a text encoder's run, which takes longer than all else here, would change nothing
        return whole if blend.strength == 1 else blended(self.text(blend.text), whole, blend.strength)

    def choice(self, projection: str | None = None) -> Projection:
        """The projection asked for, else what was found to suit these text encoders, else the family's usual one.
        Raises SettingsError where it does not serve the family."""
        return checked_choice(self.family, projection or recommended(self._folder, self.fingerprint))

    def text(self, text: str) -> PromptEmbedding:
        """What the family's own encoders make of a text, of any length."""
        states, pooled = {}, None
        for encoder in self.family.encoders:
            stretches, _ = self._sides[encoder.name].long_states(text, encoder.layer)
            states[encoder.name] = stretches.flatten(0, 1)
        if self.family.pooled_by:
            pooled = self._pooled_text(text)
        return replace(assembled(self.family, states, pooled), fingerprint=self.fingerprint, projection="text")

    @cached_property
    def fingerprint(self) -> str:
        """Of the family's text encoders as they are, one alone or several together."""
        each = [side.fingerprint for side in self._sides.values()]
        return each[0] if len(each) == 1 else sha256("\n".join(each).encode()).hexdigest()

    def _pinv(self, joint: Tensor, blend: Blend) -> PromptEmbedding:
        (encoder,) = self.family.encoders
        if not blend.text:
            return assembled(self.family, {encoder.name: self._closed_form.variation(joint)})
        states, ends = self._sides[encoder.name].long_states(blend.text, encoder.layer)
        found = edited(self._closed_form.end_state(joint), states, ends, blend.alpha)
        return assembled(self.family, {encoder.name: found})

    def _learned(
        self, joint: Tensor, projection: Projection, blend: Blend, gap: GapCorrection | None
    ) -> PromptEmbedding:
        sources: Mapping[str, SequenceMap | Bank]
        if projection == "bank":
            sources = self._banks
            parts = {name: bank.states(joint, blend.temperature, gap) for name, bank in self._banks.items()}
        else:
            sources = self._maps
            parts = {name: each.states(joint, gap) for name, each in self._maps.items()}
        by = self.family.pooled_by
        pooled = self._pooled(joint, sources[by], gap) if by else None
        return replace(assembled(self.family, parts, pooled), gap_corrected=gap is not None)

    def _anchored(self, joint: Tensor, anchor: str, blend: Blend, gap: GapCorrection | None) -> PromptEmbedding:
        """H(text) + s (M(picture) - M(anchor)): a prompt's real states, and what the map M sees beyond the anchor."""
        real = self.text(blend.text or self._swapped(anchor, blend.swaps))
        seen = self._learned(joint, "ridge", blend, gap)
        said = self._learned(self._clip.encode_texts([anchor])[0], "ridge", blend, None)

        def moved(base: Tensor | None, to: Tensor | None, origin: Tensor | None) -> Tensor | None:
            if base is None or to is None or origin is None:
                return base
            difference = (blend.correction * (to - origin)).to(base)
            return base + (difference if base.ndim == 1 else difference.repeat(len(base) // len(difference), 1))

        return replace(
            seen,
            states=moved(real.states, seen.states, said.states),
            pooled=moved(real.pooled, seen.pooled, said.pooled),
        )

    def _swapped(self, prompt: str, swaps: Mapping[str, str]) -> str:
        if not swaps:
            return prompt
        vocabulary = self._vocabulary()
        check_swaps(swaps, vocabulary)
        for category, phrase in swaps.items():
            prompt = swapped(prompt, vocabulary.phrases(category), phrase)
        return prompt

    def _pooled(self, joint: Tensor, texts: SequenceMap | Bank, gap: GapCorrection | None) -> Tensor:
        """The picture's embedding where texts are, at the texts' mean length."""
        corrected = joint
        if gap is not None:
            corrected = gap.centred(joint, texts.spread) + texts.centre.to(joint)
        return projected_pooled(corrected, self._pooled_norm)

    def _pooled_text(self, text: str) -> Tensor:
        encoder = self.family.encoder(self.family.pooled_by)
        side = self._sides[encoder.name]
        (states,), ends = side.states([text])
        projection = side.weights.projection
        if projection is None:
            raise ModelError(
                f"{self.family.title}'s text encoder {encoder.name} has no projection",
                f"give the whole CLIP {encoder.clip}",
            )
        return states[0, int(ends[0])] @ projection.float().T

    @cached_property
    def _pooled_norm(self) -> float:
        return self._closed_forms.projected_length(
            self._sides[self.family.pooled_by], self._prompts(_PROMPTS_FOR_NORMS)
        )

    @cached_property
    def _closed_form(self) -> ClosedForm:
        """The end's state is the last layer's. Where a family takes the one before it through the same norm, that is
        near enough: measured in `benchmarks/clip_skip.py`."""
        (encoder,), (side,) = self.family.encoders, self._sides.values()
        prompts = () if is_published_model(side.weights) else self._prompts(_PROMPTS_FOR_NORMS)
        form = self._closed_forms.of(side, prompts, self._text_projection)
        return replace(form, start=side.start_state(encoder.layer).cpu())

    @cached_property
    def _banks(self) -> Mapping[str, Bank]:
        prompts = self._prompts(self._fit.prompts)
        return {encoder.name: self._bank(encoder, prompts) for encoder in self.family.encoders}

    def _bank(self, encoder: Encoder, prompts: Sequence[str]) -> Bank:
        side, layers = self._sides[encoder.name], (encoder.layer,)
        key = bank_key(self._clip.fingerprint, side, encoder.layer, prompts)
        shape = (len(prompts), len(side.weights.positions), side.width)
        joint = self._clip.encode_texts(prompts[:1]).shape[-1]

        def learn() -> Iterator[Chunk]:
            nbytes = bank_bytes(shape, joint)
            return chunks(self._encode_beside(side), side, layers, prompts, nbytes, self._progress)

        return load_or_make(self._folder / f"bank-{key[:32]}.safetensors", key, shape, joint, learn)

    @cached_property
    def _maps(self) -> Mapping[str, SequenceMap]:
        prompts = self._prompts(self._fit.prompts)
        return {encoder.name: self._map(encoder, prompts) for encoder in self.family.encoders}

    def _map(self, encoder: Encoder, prompts: Sequence[str]) -> SequenceMap:
        side, layers = self._sides[encoder.name], (encoder.layer,)
        key = map_key(self._clip.fingerprint, side, layers, prompts, self._fit)

        def fit() -> Mapping:
            return fit_maps(self._encode_beside(side), side, layers, prompts, self._fit, self._progress)

        return load_or_fit(self._folder, key, layers, fit)[encoder.layer]

    def _encode_beside(self, side: TextSide) -> Encode | None:
        return None if side.is_of(self._clip) else self._clip.encode_texts

    def _prompts(self, count: int) -> tuple[str, ...]:
        return composed_prompts(self._vocabulary(), count)


def checked_choice(family: Family, projection: str | None = None) -> Projection:
    """The projection asked for, or the family's usual one. Raises SettingsError where it does not serve the family."""
    if not family.encoders:
        raise SettingsError(
            f"{family.title} takes only a pooled vector from a picture", f"make it with `conditioning.{family.name}`"
        )
    chosen = projection or family.projection
    if chosen not in PROJECTIONS:
        raise SettingsError(f"There is no projection {chosen!r}", Choose("projection", PROJECTIONS))
    if not family.is_served_by(chosen):
        raise SettingsError(f"{chosen} cannot reach what {family.title} listens to", Choose("projection", ("ridge",)))
    return chosen


def check_blend(blend: Blend, pictures: int, projection: str | None = None) -> None:
    """What is known to be wrong of a blend of so many pictures before they are looked at. projection: None while that
    waits for the text encoders. Raises SettingsError."""
    check_weights(pictures, blend.weights)
    if blend.text and projection in ("ridge", "bank") and blend.strength == 1:
        raise SettingsError(f"A text joins the projection {projection} by strength", Give("strength", "less than 1"))
    if blend.swaps and projection not in (None, "anchored"):
        problem = "Phrases are swapped in a prompt, which only the projection anchored has"
        raise SettingsError(problem, Choose("projection", ("anchored",)))


def check_swaps(swaps: Mapping[str, str], vocabulary: Vocabulary) -> None:
    """SettingsError for a category that the vocabulary has not."""
    for category in swaps:
        if category not in vocabulary.categories:
            known = ", ".join(each.name for each in vocabulary.positive())
            raise SettingsError(f"There is no category {category!r} to swap a phrase of", f"choose one of {known}")


def own_side(clip: Clip, family: Family, encoder: Encoder, load: Callable[[str], Clip]) -> TextSide:
    """The CLIP's own text encoder, or for SDXL, whose joint space is bigG's, CLIP-L's beside it.

    load: gives the CLIP of a name for what this one does not hold.
    """
    return TextSide.of(clip if encoder == family.seeing else load(encoder.clip), encoder.padding)


def _fitting(sides: Mapping[str, TextSide], encoder: Encoder, family: Family) -> TextSide:
    side = sides.get(encoder.name)
    if side is None:
        raise ModelError(f"{family.title} listens to {encoder.name}, which is not there", "give that text encoder")
    if side.width != encoder.width:
        raise ModelError(
            f"{family.title} listens to a text encoder {encoder.width} wide, but this one is {side.width} wide",
            Give("clip", "the one that belongs to the family"),
        )
    return side if side.padding == encoder.padding else side.padded(encoder.padding)
