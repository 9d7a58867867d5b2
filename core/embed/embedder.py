"""From pictures to the prompt embedding of one family: what is fitted or measured once, and what each picture takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path

from torch import Tensor

from ..clip import Clip
from ..clip.hidden_states import LAST
from ..errors import ModelError, SettingsError
from ..phrases import Vocabulary
from ..progress import SILENT, Progress
from .composing import Mix, blended, check_strength, mixed
from .conditioning import assembled, projected_pooled
from .embedding import PromptEmbedding
from .families import CLIP_G, CLIP_L, Encoder, Family, Projection
from .gap import GapCorrection
from .map_files import load_or_fit, map_key
from .projection import PUBLISHED_ALPHA, ClosedForm, check_alpha, closed_form, edited
from .prompts import composed_prompts
from .ridge import Fit, SequenceMap, fit_maps
from .text_side import TextSide

_PROMPTS_FOR_NORMS = 256


@dataclass(frozen=True)
class Blend:
    """How pictures become one embedding.

    weights, mix: of several pictures (see `composing.mixed`). text: a prompt that stays in force. alpha: of the edit
    form, which joins picture and text with "pinv". strength: from the text's own embedding (of the empty prompt where
    there is none) at 0 to the picture's at 1.
    """

    weights: Sequence[float] | None = None
    mix: Mix = "mean"
    text: str = ""
    alpha: float = PUBLISHED_ALPHA
    strength: float = 1.0

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        check_strength(self.strength)


class Embedder:
    """Makes embeddings for one family from what one CLIP sees.

    clip: whose vision tower sees the picture, and whose text tower the inputs of a fit come from.
    sides: the family's text encoders by name. folder: where fitted maps are kept.
    text_projection: in place of the encoder's own, for checkpoints that have none.
    """

    def __init__(
        self,
        clip: Clip,
        family: Family,
        sides: Mapping[str, TextSide],
        vocabulary: Vocabulary,
        folder: Path,
        fit: Fit | None = None,
        text_projection: Tensor | None = None,
        progress: Progress = SILENT,
    ) -> None:
        self.family = family
        self._clip = clip
        self._sides = {encoder.name: _fitting(sides, encoder, family) for encoder in family.encoders}
        self._vocabulary = vocabulary
        self._folder = folder
        self._fit = fit or Fit()
        self._text_projection = text_projection
        self._progress = progress

    def embed(
        self,
        features: Tensor,
        pictures: Sequence[str],
        projection: Projection | None = None,
        blend: Blend | None = None,
        gap: GapCorrection | None = None,
    ) -> PromptEmbedding:
        """features: normalised joint embeddings [pictures, joint width]. pictures: their hashes (`image_key`).
        gap: takes out the difference between pictures and texts; without it a map gets pictures as if they were texts.

        Raises SettingsError, EmbeddingError, ModelError."""
        blend, chosen = blend or Blend(), checked_choice(self.family, projection)
        edits = chosen == "pinv" and bool(blend.text)
        if blend.text and not edits and blend.strength == 1:
            raise SettingsError("A text joins the projection ridge by strength; give a strength below 1.")
        singles = [
            replace(self._one(joint, chosen, blend if edits else None, gap), picture=picture)
            for joint, picture in zip(features, pictures, strict=True)
        ]
        whole = mixed(singles, blend.weights, blend.mix)
        # at full strength a text encoder's run, which takes longer than all else here, would change nothing
        return whole if blend.strength == 1 else blended(self.text(blend.text), whole, blend.strength)

    def text(self, text: str) -> PromptEmbedding:
        """What the family's own encoders make of a text, of any length."""
        states, pooled = {}, None
        for encoder in self.family.encoders:
            stretches, _ = self._sides[encoder.name].long_states(text, encoder.layer)
            states[encoder.name] = stretches.flatten(0, 1)
            if self.family.pooled_width:
                pooled = self._pooled_text(text)
        return replace(assembled(self.family, states, pooled), fingerprint=self.fingerprint, projection="text")

    @cached_property
    def fingerprint(self) -> str:
        """Of the family's text encoders as they are, one alone or several together."""
        each = [side.fingerprint for side in self._sides.values()]
        return each[0] if len(each) == 1 else sha256("\n".join(each).encode()).hexdigest()

    def _one(
        self, joint: Tensor, projection: Projection, edit: Blend | None, gap: GapCorrection | None
    ) -> PromptEmbedding:
        if projection == "pinv":
            (encoder,) = self.family.encoders
            side = self._sides[encoder.name]
            if edit:
                states, ends = side.long_states(edit.text, encoder.layer)
                found = edited(self._closed_form.end_state(joint), states, ends, edit.alpha)
            else:
                found = self._closed_form.variation(joint)
            parts = {encoder.name: found}
        else:
            parts = {name: each.states(joint, gap) for name, each in self._maps.items()}
        pooled = self._pooled(joint, gap) if self.family.pooled_width else None
        return replace(
            assembled(self.family, parts, pooled),
            fingerprint=self.fingerprint,
            projection=projection,
            gap_corrected=projection == "ridge" and gap is not None,
        )

    def _pooled(self, joint: Tensor, gap: GapCorrection | None) -> Tensor:
        """The picture's embedding where texts are, at the texts' mean length."""
        corrected = joint
        if gap is not None:
            texts = self._maps[CLIP_G]
            corrected = gap.centred(joint, texts.spread) + texts.centre.to(joint)
        return projected_pooled(corrected, self._pooled_norm)

    def _pooled_text(self, text: str) -> Tensor:
        side = self._sides[CLIP_G]
        (states,), ends = side.states([text])
        projection = side.weights.projection
        if projection is None:
            raise ModelError("SDXL's second text encoder has no projection; give the whole CLIP ViT-bigG-14.")
        return states[0, int(ends[0])] @ projection.float().T

    @cached_property
    def _pooled_norm(self) -> float:
        return self._sides[CLIP_G].mean_norms(self._prompts(_PROMPTS_FOR_NORMS))[1]

    @cached_property
    def _closed_form(self) -> ClosedForm:
        (side,) = self._sides.values()
        prompts = self._prompts(_PROMPTS_FOR_NORMS)
        return closed_form(side, prompts, self._text_projection)

    @cached_property
    def _maps(self) -> Mapping[str, SequenceMap]:
        prompts = self._prompts(self._fit.prompts)
        return {encoder.name: self._map(encoder, prompts) for encoder in self.family.encoders}

    def _map(self, encoder: Encoder, prompts: Sequence[str]) -> SequenceMap:
        side, layers = self._sides[encoder.name], (encoder.layer,)
        key = map_key(self._clip.fingerprint, side, layers, prompts, self._fit)

        def fit() -> Mapping:
            return fit_maps(self._clip.encode_texts, side, layers, prompts, self._fit, self._progress)

        return load_or_fit(self._folder, key, layers, fit)[encoder.layer]

    def _prompts(self, count: int) -> tuple[str, ...]:
        return composed_prompts(self._vocabulary, count)


def checked_choice(family: Family, projection: str | None = None) -> Projection:
    """The projection asked for, or the family's usual one. Raises SettingsError where it does not serve the family."""
    if not family.encoders:
        raise SettingsError(
            f"{family.title} takes only a pooled vector from a picture; make it with `conditioning.{family.name}`."
        )
    chosen = projection or family.projection
    if chosen == "ridge":
        return "ridge"
    if chosen != "pinv":
        raise SettingsError(f"There is no projection {chosen!r}; choose pinv or ridge.")
    if [encoder.layer for encoder in family.encoders] != [LAST]:
        raise SettingsError(f"pinv cannot reach what {family.title} listens to; choose the projection ridge.")
    return "pinv"


def own_side(clip: Clip, family: Family, encoder: Encoder, load: Callable[[str], Clip]) -> TextSide:
    """The CLIP's own text encoder, or for SDXL, whose joint space is bigG's, CLIP-L's beside it.

    load: gives the CLIP of a name for what this one does not hold.
    """
    second = encoder.name == CLIP_L and len(family.encoders) > 1
    return TextSide.of(load("ViT-L-14/openai") if second else clip, encoder.padding)


def _fitting(sides: Mapping[str, TextSide], encoder: Encoder, family: Family) -> TextSide:
    side = sides.get(encoder.name)
    if side is None:
        raise ModelError(f"{family.title} listens to {encoder.name}, which is not there; give that text encoder.")
    if side.width != encoder.width:
        raise ModelError(
            f"{family.title} listens to a text encoder {encoder.width} wide, but this one is {side.width} wide; "
            "choose the CLIP that belongs to the family."
        )
    return side if side.padding == encoder.padding else side.padded(encoder.padding)
