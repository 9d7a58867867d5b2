"""From pictures to the prompt embedding of one family: what is fitted or measured once, and what each picture takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from torch import Tensor

from ..clip import Clip
from ..cures import Give
from ..errors import ModelError, SettingsError
from ..phrases import Vocabulary
from ..phrases.composed import composed_prompts
from ..phrases.swapping import swapped
from ..progress import SILENT, Progress
from .bank import Bank, Read, bank_bytes, load_or_make
from .blend import UNDESCRIBED, Blend, check_blend, check_swaps, checked_choice, checked_way
from .composing import blended, mixed
from .conditioning import assembled
from .embedding import PromptEmbedding
from .families import Encoder, Family
from .family_maps import FamilyMaps
from .gap import GapCorrection
from .kinds import TUNED, Projection, Quality, Way, tuned_name
from .learning import Chunk, chunks, encode_beside
from .map_files import bank_key
from .pooled import Pooling
from .projection import ClosedForm, ClosedForms, edited, is_published_model
from .recommended import recommended_for
from .ridge import RidgeFit, SequenceMap
from .soft.knowledge import Knowledge
from .soft.projection import SoftProjection, Words
from .text_side import TextSide, fingerprint_of
from .tuned import looking
from .tuned_places import tuned_folder

_PROMPTS_FOR_NORMS = 256


class Embedder:
    """Makes embeddings for one family from what one CLIP sees.

    clip: whose vision tower sees the picture, and whose text tower the inputs of a fit come from.
    sides: the family's text encoders by name. vocabulary: gives the words of the prompts to learn from.
    folder: where fitted maps are kept. text_projection: in place of the encoder's own, for checkpoints that have none.
    closed_forms: that are made already, with lengths that are measured, and where more are kept. knowledge: what
    "soft" stands on.
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
        knowledge: Knowledge | None = None,
    ) -> None:
        self.family = family
        self._clip = clip
        self._sides = {encoder.name: _fitting(sides, encoder, family, clip) for encoder in family.heard}
        self._vocabulary = vocabulary
        self._folder = folder
        self._fit = fit or RidgeFit()
        self._ridge = FamilyMaps(clip, family, self._sides, vocabulary, folder, fit, progress)
        self._text_projection = text_projection
        self._progress = progress
        self._closed_forms = closed_forms or ClosedForms()
        self._knowledge = knowledge
        self._pooling = Pooling(family, self._sides, text_projection, self._closed_forms, vocabulary, progress)

    def embed(
        self,
        features: Tensor,
        pictures: Sequence[str],
        way: Way,
        blend: Blend | None = None,
        gap: GapCorrection | None = None,
        anchors: Sequence[str] = (),
    ) -> PromptEmbedding:
        """features: normalised joint embeddings [pictures, joint width]. pictures: their hashes (`image_key`).
        gap: takes out the difference between pictures and texts; without it all but "pinv" get pictures as if they were
        texts. anchors: a prompt for each picture, which "anchored" needs where the blend gives none for all.

        Raises SettingsError, EmbeddingError, ModelError."""
        blend, chosen = blend or Blend(), checked_choice(self.family, way.projection)
        if blend.anchor is not None:
            anchors = [blend.anchor] * len(pictures)
        check_blend(blend, len(pictures), chosen)
        if chosen == "anchored" and len(anchors) != len(pictures):
            raise SettingsError(UNDESCRIBED, Give("anchor", "one"))
        described = anchors or [""] * len(pictures)
        singles = []
        for joint, anchor, picture in zip(features, described, pictures, strict=True):
            made = self._made(joint, anchor, way, blend, gap)
            told = f"{TUNED}{Path(tuned_name(way.tuned)).stem}" if way.tuned else chosen
            singles.append(replace(made, picture=picture, fingerprint=self.fingerprint, projection=told))
        whole = mixed(singles, blend.weights, blend.mix)
        # at full strength a text encoder's run, which takes longer than all else here, would change nothing
        return whole if blend.strength == 1 else blended(self.text(blend.text), whole, blend.strength)

    def _made(self, joint: Tensor, anchor: str, way: Way, blend: Blend, gap: GapCorrection | None) -> PromptEmbedding:
        if way.projection == "soft":
            return self._soft(joint, anchor, way, blend, gap)
        if way.projection == "anchored":
            return self._anchored(joint, anchor, blend, gap)
        if way.projection == "ridge" and self._ridge.from_pictures:
            return self._refitted(joint)
        return (
            self._pinv(joint, blend) if way.projection == "pinv" else self._learned(joint, way.projection, blend, gap)
        )

    def way(self, projection: str | None = None, quality: Quality | None = None) -> Way:
        """Of the projection or the quality asked for, else of what was found to suit these text encoders, else of the
        best quality. Raises SettingsError where it does not serve the family."""
        return checked_way(self.family, projection, quality or recommended_for(self._folder, self._sides.values()))

    def looking(self, way: Way, encoders: Mapping[str, TextSide] | None) -> AbstractContextManager[None]:
        """In which the CLIP sees pictures as the way has it. encoders: of the checkpoint that is to render, as far as
        that is known. Raises SettingsError, EmbeddingError, ModelError."""
        if not way.tuned:
            return nullcontext()
        return looking(self._clip, way.tuned, tuned_folder(self._folder.parent), self._sides if encoders else None)

    def learn(self, features: Tensor, prompts: Sequence[str]) -> None:
        """What "ridge" makes of pictures from now on: see `core.embed.refit`. Raises SettingsError, ModelError."""
        self._ridge.learn(features, prompts)

    def text(self, text: str) -> PromptEmbedding:
        """What the family's own encoders make of a text, of any length."""
        states = {}
        for encoder in self.family.encoders:
            stretches, _ = self._sides[encoder.name].long_states(text, encoder.layer, self._progress.check)
            states[encoder.name] = stretches.flatten(0, 1)
        pooled = self._pooling.of_text(lambda encoder: self._end(encoder, text))
        return replace(assembled(self.family, states, pooled), fingerprint=self.fingerprint, projection="text")

    @cached_property
    def fingerprint(self) -> str:
        return fingerprint_of(self._sides.values())

    def _pinv(self, joint: Tensor, blend: Blend) -> PromptEmbedding:
        (encoder,) = self.family.heard
        seen = self.closed_form.end_state(joint)
        end = seen + blend.alpha * self._end(encoder, blend.text).to(seen) if blend.text else seen
        if not self.family.encoders:
            return assembled(self.family, {}, end)
        if blend.text:
            states, ends = self._sides[encoder.name].long_states(blend.text, encoder.layer, self._progress.check)
            found = edited(seen, states, ends, blend.alpha)
        else:
            found = self.closed_form.variation(joint)
        return assembled(self.family, {encoder.name: found}, self._pooling.of_text(lambda _: end))

    def _learned(
        self, joint: Tensor, projection: Projection, blend: Blend, gap: GapCorrection | None
    ) -> PromptEmbedding:
        sources: Mapping[str, SequenceMap | Bank]
        if projection == "bank":
            sources = self._banks
            parts = {
                name: bank.states(joint, blend.temperature, gap, self._reader(name))
                for name, bank in self._banks.items()
            }
        else:
            sources = self._maps
            parts = {name: each.states(joint, gap) for name, each in self._maps.items()}
        seeing = self.family.seeing.name
        pooled = self._pooling.of_picture(joint, lambda: sources[seeing], gap, parts[seeing])
        return replace(assembled(self.family, parts, pooled), gap_corrected=gap is not None)

    def _refitted(self, joint: Tensor) -> PromptEmbedding:
        maps, seeing = self._ridge.from_pictures, self.family.seeing.name
        parts = {name: each.states(joint) for name, each in maps.items()}
        gap = GapCorrection(maps[seeing].centre, maps[seeing].spread, 0)
        pooled = self._pooling.of_picture(joint, lambda: self._maps[seeing], gap, parts[seeing])
        return replace(assembled(self.family, parts, pooled), gap_corrected=True)

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

    def _soft(self, joint: Tensor, anchor: str, way: Way, blend: Blend, gap: GapCorrection | None) -> PromptEmbedding:
        text = blend.text or (self._swapped(anchor, blend.swaps) if blend.swaps else "")
        searched = way.searched and blend.anchor is None
        words = Words(anchor, searched) if anchor else None
        states, ends = self._soft_projection.embedded(joint, words, text, gap, way.asks, blend.tokens)
        pooled = self._pooling.of_text(lambda encoder: ends[encoder.name])
        return replace(assembled(self.family, states, pooled), gap_corrected=gap is not None)

    @cached_property
    def _soft_projection(self) -> SoftProjection:
        assert self._knowledge is not None
        return SoftProjection(self.family, self._sides, self._text_projection, self._knowledge, self._progress)

    def _swapped(self, prompt: str, swaps: Mapping[str, str]) -> str:
        if not swaps:
            return prompt
        vocabulary = self._vocabulary()
        check_swaps(swaps, vocabulary)
        for category, phrase in swaps.items():
            prompt = swapped(prompt, vocabulary.phrases(category), phrase)
        return prompt

    def _end(self, encoder: Encoder, text: str) -> Tensor:
        (states,), ends = self._sides[encoder.name].states([text], check=self._progress.check)
        return states[0, int(ends[0])]

    @cached_property
    def closed_form(self) -> ClosedForm:
        """What pinv computes with. The end's state is the last layer's. Where a family takes the one before it through
        the same norm, that is near enough: measured in `benchmarks/clip_skip.py`."""
        (encoder,), (side,) = self.family.heard, self._sides.values()
        prompts = () if is_published_model(side.weights) else self._prompts(_PROMPTS_FOR_NORMS)
        form = self._closed_forms.of(side, prompts, self._text_projection, self._progress)
        return replace(form, start=side.start_state(encoder.layer).cpu())

    @cached_property
    def _banks(self) -> Mapping[str, Bank]:
        prompts = self._prompts(self._fit.prompts)
        return {encoder.name: self._bank(encoder, prompts) for encoder in self.family.encoders}

    def _bank(self, encoder: Encoder, prompts: Sequence[str]) -> Bank:
        side, layers = self._sides[encoder.name], (encoder.layer,)
        side = side if side.plain is None else side.plain()
        key = bank_key(self._clip.fingerprint, side, encoder.layer, prompts)
        shape = (len(prompts), len(side.weights.positions), side.width)
        joint = self._clip.encode_texts(prompts[:1]).shape[-1]

        def learn() -> Iterator[Chunk]:
            nbytes = bank_bytes(shape, joint)
            return chunks(
                encode_beside(self._clip, side, self._progress), side, layers, prompts, nbytes, self._progress
            )

        return load_or_make(self._folder / f"bank-{key[:32]}.safetensors", key, shape, joint, learn)

    def _reader(self, name: str) -> Read | None:
        """Of an encoder that is patched: its bank is that of the encoder without, and the few prompts that are nearest
        are read as they are now."""
        side = self._sides[name]
        if side.plain is None:
            return None
        prompts, layer = self._prompts(self._fit.prompts), self.family.encoder(name).layer

        def read(rows: list[int]) -> Tensor:
            with self._progress.task(f"Reading {len(rows)} texts"):
                (states,), _ = side.states([prompts[row] for row in rows], (layer,), self._progress.check)
            return states.cpu()

        return read

    @property
    def _maps(self) -> Mapping[str, SequenceMap]:
        return self._ridge.from_texts

    def _prompts(self, count: int) -> tuple[str, ...]:
        return composed_prompts(self._vocabulary(), count)


def own_side(clip: Clip, family: Family, encoder: Encoder, load: Callable[[str], Clip]) -> TextSide:
    """The CLIP's own text encoder, or for SDXL, whose joint space is bigG's, CLIP-L's beside it.

    load: gives the CLIP of a name for what this one does not hold.
    """
    return TextSide.of(clip if encoder == family.seeing else load(encoder.clip), encoder.padding)


def _fitting(sides: Mapping[str, TextSide], encoder: Encoder, family: Family, clip: Clip) -> TextSide:
    side = sides.get(encoder.name)
    if side is None:
        raise ModelError(f"{family.title} listens to {encoder.name}, which is not there", "give that text encoder")
    if side.width != encoder.width:
        raise ModelError(
            f"{family.title} listens to a text encoder {encoder.width} wide, but this one is {side.width} wide",
            Give("clip", "the one that belongs to the family"),
        )
    if len(side.weights.blocks) == encoder.blocks - 1:
        side = side.completed(clip)
    return side if side.padding == encoder.padding else side.padded(encoder.padding)
