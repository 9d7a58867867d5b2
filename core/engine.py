"""What every door calls: settings in, prompts out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from .errors import SettingsError, UndescribedError
from .loading import EngineModels
from .progress import SILENT, Progress
from .results import Interrogation
from .settings import CaptionSettings, Mode, Search, Settings
from .studies import Studies

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from .clip import Clip
    from .describe import Describer, Description
    from .embed import PromptEmbedding
    from .embed.blend import Blend
    from .embed.gap import GapCorrection
    from .embed.kinds import Quality
    from .embed.projection import ClosedForm, ClosedForms
    from .embed.ridge import RidgeFit
    from .embed.seen import Seen
    from .embed.text_side import TextSide
    from .evidence.likelihoods import Evidence
    from .images import Picture, Pictures
    from .phrases import Vocabulary

__all__ = ["CaptionSettings", "Engine", "Settings"]


class Engine(Studies):
    """Interrogates pictures with one set of settings. Safe to share between threads: calls wait for each other.

    clip: a model that is loaded already (`Clip.from_open_clip`, `Clip.from_transformers`), used for settings.clip.
    progress: hears of downloads, tables and searches, and is asked whether to go on.
    load_clip, load_describer: for hosts that keep models themselves: asked instead of loading what the settings name,
    when a model is first needed and again after `unload`; for a describer by its name.
    closed_forms: of "pinv", for who makes an engine for every picture and need not compute them each time.

    Whatever is known to be wrong without a model is refused before one is loaded.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        clip: Clip | None = None,
        progress: Progress = SILENT,
        *,
        load_clip: Callable[[Progress], Clip] | None = None,
        load_describer: Callable[[str, Progress], Describer] | None = None,
        closed_forms: ClosedForms | None = None,
    ) -> None:
        settings = settings or Settings()
        models = EngineModels(settings, progress, clip, load_clip, load_describer, closed_forms)
        super().__init__(settings, progress, models)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unload()

    def interrogate(self, image: Picture, mode: Mode = "best", caption: str | None = None) -> Interrogation:
        """A prompt for a picture: a path, bytes, a PIL image, or a numpy or torch array (see `core.images.open_image`).

        caption: used instead of the captioner's; "" for none.
        Raises ImageError, ModelError, PhraseError, SettingsError, or Cancelled.
        """
        return self.interrogate_together([image], mode, caption)

    def interrogate_together(
        self,
        images: Sequence[Picture],
        mode: Mode = "best",
        caption: str | None = None,
        weights: Sequence[float] | None = None,
    ) -> Interrogation:
        """One prompt for what several pictures share (see `core.prompt.together.shared_features`).

        caption: "" for none; when absent the one of the pictures' captions that suits all of them best.
        weights: how much each picture counts, equally when absent. Raises what `interrogate` does.
        """
        from .describe.together import with_words
        from .images import open_images
        from .prompt.checks import check_unseen
        from .prompt.tag_texts import shared_words
        from .prompt.together import check_weights, shared_features

        pictures = open_images(images)
        check_weights(len(pictures), weights)
        check_unseen(self.settings, mode, len(pictures) > 1)
        with self._lock:
            clip = self._models.prepare(mode, None if caption is None else [caption])
            started = time.perf_counter()
            words = self._models.words(pictures, mode, None if caption is None else [caption] * len(pictures))
            # of several pictures others may have a caption for all
            words, _ = with_words(words, mode if len(words) == 1 else "best")
            if clip is None:
                return self._models.unseen(mode, shared_words(words), time.perf_counter() - started)
            from .prompt.judging import told_together  # and with it torch, which a refusal need not wait for
            from .prompt.subject import Subject

            features = shared_features(self._encode(clip, pictures), weights)
            judge, pinned = self._models.judges(caption is not None), self._models.pinned(mode)
            told = told_together(clip, features, words, judge, pinned)
            return self._models.in_words(
                mode, *self._models.heard(mode, [(Subject(features, told.start), told)])[0], started
            )

    def interrogate_each(
        self,
        images: Sequence[Picture] | Iterator[Image],
        mode: Mode = "best",
        captions: Sequence[str] | None = None,
        features: Tensor | None = None,
        seen: Callable[[Tensor], None] | None = None,
        failed: Callable[[int, UndescribedError], None] | None = None,
    ) -> Iterator[Interrogation]:
        """A prompt for each of several pictures, in their order, each given when it is found. All captions come first,
        then all the CLIP sees, so that no model waits for another.

        images: opened ones from an iterator are let go of as soon as they have been prepared for the models.
        captions: one for each picture in the captioner's place, "" for none. features: what `picture_features` gave of
        them, so that they need not be seen twice. seen: is told what `picture_features` gives before the first prompt.
        failed: is told before it of each picture that a describer has no words for, by its place; there is no prompt
        for it then. Without one that is raised.
        Raises what `interrogate` does.
        """
        from .describe.together import with_words
        from .images import open_each
        from .prompt.together import check_one_each

        pictures = open_each(images)
        if isinstance(pictures, list):
            check_one_each(len(pictures), captions=captions, features=features)
        with self._lock:
            clip = self._models.prepare(mode, captions)
            started, look = time.perf_counter(), clip is not None or seen is not None
            words, features = self._models.looked_at(pictures, mode, captions, features, look)
            if seen and features is not None:
                seen(features.cpu())
            words, features = with_words(words, mode, features, failed)
            subjects = self._models.subjects(mode, features, words, captions)
            share = (time.perf_counter() - started) / max(1, len(words))
        if clip is None:
            yield from (self._models.unseen(mode, each, share) for each in words)
        for subject, told in subjects:
            with self._lock:  # not while the caller has the prompt
                found = self._models.in_words(mode, subject, told, time.perf_counter() - share)
            yield found

    def describe(self, images: Sequence[Picture] | Iterator[Image]) -> list[Description]:
        """What the captioner alone says of each picture, whole: no CLIP is loaded, and nothing is cut.

        images: as for `interrogate_each`. Raises ImageError, ModelError, SettingsError (no captioner), Cancelled."""
        from .images import open_each

        pictures = open_each(images)
        with self._lock:
            return self._models.described(pictures)

    def embed(
        self,
        images: Picture | Sequence[Picture] | Seen,
        family: str = "sd15",
        projection: str | None = None,
        blend: Blend | None = None,
        gap: GapCorrection | None = None,
        fit: RidgeFit | None = None,
        *,
        quality: Quality | None = None,
        encoders: Mapping[str, TextSide] | None = None,
        text_projection: Tensor | None = None,
    ) -> PromptEmbedding:
        """One embedding of one or several pictures, in place of a prompt's (see `core.embed`).

        images: as for `analyze`, or what the engine's CLIP has seen of them already (`core.embed.seen.Seen`).
        family: a name of `core.embed.families.FAMILIES`; the engine's CLIP has to be the one whose text encoder it
        listens to, for SDXL the second. quality: one of `core.embed.kinds.QUALITIES`; None for what `unrender verify`
        recommends for these text encoders, else the best. projection: one of `core.embed.kinds.PROJECTIONS` in the
        place of the quality's, or "tuned:NAME" or "tuned:FILE" for what `unrender tune` made of pictures. "ridge",
        "bank" and "anchored" learn from texts at their first use (fit: how) and keep it.
        gap: see `measure_gap`; micro's is known, and that of the settings' bank. encoders: the checkpoint's own text
        encoders by name, where they are not the CLIP's own. text_projection: [joint width, text width] in place of the
        CLIP's own.
        Raises ImageError, ModelError, SettingsError, EmbeddingError, or Cancelled.
        """
        from .embed.blend import Blend
        from .embed.seen import check_unseen, looking_at

        blend = blend or Blend()
        check_unseen(images, projection)
        look, pictures, keys = looking_at(images, self._encode)
        self.check_embedding(len(keys), family, projection, blend, quality)
        with self._lock:
            embedder = self._models.embedder(family, fit, encoders, text_projection)
            clip, way = self._models.clip(), embedder.way(projection, quality)
            with embedder.looking(way, encoders):
                seen = look(clip)
            anchors = self._described(pictures, seen) if way.searched and blend.anchor is None else ()
            return embedder.embed(seen.features, seen.keys, way, blend, gap or self._models.gap(), anchors)

    def _described(self, pictures: Sequence[Image], seen: Seen) -> list[str]:
        """What a search finds to describe each picture; of those that only the CLIP has seen, without a caption."""
        from .describe.together import Words, Written

        if pictures:
            return [each.prompt for each in self.interrogate_each(pictures, "best", features=seen.features)]
        captions = [""] * len(seen)
        words = [Words((Written("", "", 0),)) for _ in captions]
        subjects = self._models.subjects("best", seen.features, words, captions)
        return [self._models.in_words("best", *each, time.perf_counter()).prompt for each in subjects]

    def learn_maps(
        self,
        features: Tensor,
        prompts: Sequence[str],
        family: str = "sd15",
        *,
        encoders: Mapping[str, TextSide] | None = None,
    ) -> None:
        """Learns anew, from pictures and the prompts that were found for them, what "ridge" makes of pictures for these
        text encoders, and keeps it for all engines to come (see `core.index.lessons.learn_from_folder`).

        features: what `picture_features` gave, of 40 or more. Raises SettingsError, ModelError, or Cancelled."""
        with self._lock:
            self.check_embedding(1, family, "ridge")
            self._models.embedder(family, None, encoders, None).learn(features, prompts)

    def embed_text(
        self, text: str, family: str = "sd15", *, encoders: Mapping[str, TextSide] | None = None
    ) -> PromptEmbedding:
        """What the family's text encoders make of a text of any length, to be composed with pictures' embeddings (see
        `core.embed.composing`). encoders: as for `embed`. Raises ModelError, SettingsError, or Cancelled."""
        from .embed.kinds import way_by

        with self._lock:
            self._models.check_embedding(family, way_by("soft"))
            return self._models.embedder(family, None, encoders, None).text(text)

    def closed_form(
        self, family: str = "sd15", *, encoders: Mapping[str, TextSide] | None = None
    ) -> tuple[Clip, ClosedForm]:
        """The CLIP and what "pinv" makes of what it sees, for who goes through both with a gradient (`core.tuning`).
        encoders: as for `embed`. Raises what that does."""
        with self._lock:
            self.check_embedding(1, family, "pinv")
            return self._models.clip(), self._models.embedder(family, None, encoders, None).closed_form

    def picture_features(self, images: Pictures) -> Tensor:
        """What the CLIP sees in each picture: [pictures, joint width], float32, normalised, in main memory.

        images: as for `analyze`. Raises ImageError, ModelError, SettingsError, or Cancelled."""
        from .images import open_each

        pictures = open_each(images)
        with self._lock:
            return self._encode(self._models.clip(), pictures).cpu()

    def text_features(self, texts: Sequence[str]) -> Tensor:
        """Each text where `picture_features` has the pictures it describes: [texts, joint width], as there. Texts are
        cut to the CLIP's context. Raises ModelError, SettingsError, or Cancelled."""
        if isinstance(texts, str) or not texts:
            raise SettingsError("There is no list of texts", "give one with one text or more")
        with self._lock:
            return self._models.clip().encode_texts(list(texts)).cpu()

    def measure_gap(self, images: Picture | Sequence[Picture] | Seen) -> GapCorrection:
        """What varied pictures (as for `embed`), about 40, say of where the CLIP's pictures are, to move them to where
        its texts are. Raises ImageError, ModelError, SettingsError, or Cancelled."""
        from .embed.gap import GapCorrection, check_variety
        from .embed.seen import looking_at

        look, _, keys = looking_at(images, self._encode)
        check_variety(keys)
        with self._lock:
            return GapCorrection.measured(look(self._models.clip()).features)

    def check(self, mode: Mode = "best", captions: Sequence[str] | None = None) -> None:
        """Raises what `interrogate_each` would for these and the settings, as far as that is known while no model is
        loaded: for who has other things to do, or to write, before the first picture."""
        with self._lock:
            self._models.check(mode, captions)

    def check_embedding(
        self,
        pictures: int,
        family: str = "sd15",
        projection: str | None = None,
        blend: Blend | None = None,
        quality: Quality | None = None,
    ) -> None:
        """The same of what `embed` would raise for so many pictures."""
        from .embed.blend import Blend, check_blend, checked_way
        from .embed.families import family_named

        blend, way = blend or Blend(), checked_way(family_named(family), projection, quality)
        if way.tuned:
            from .embed.tuned import check_tuned
            from .embed.tuned_places import tuned_folder
            from .hub import Hub

            check_tuned(way.tuned, tuned_folder(Hub(self.settings.cache).folder), family_named(family))
        check_blend(blend, pictures, None if projection is None and quality is None else way.projection)
        with self._lock:
            self._models.check_embedding(family, way, blend)

    def usual_search(self) -> Search:
        """How the mode "best" searches: as the settings say, or as `unrender verify` found to suit these models."""
        return self._models.search

    def read_vocabulary(self) -> Vocabulary:
        """What the settings name. The micro model knows the words of its own small world only. Raises PhraseError."""
        return self._models.vocabulary()

    def evidence(self) -> Evidence:
        """How likely what the families ask of is, in the CLIP's eyes. Raises ModelError, PhraseError, or Cancelled."""
        with self._lock:
            return self._models.evidence()

    def searching(self, search: Search) -> Engine:
        """One that searches in another way, with this one's models, which are not freed with it. Raises SettingsError
        for what does not go together."""
        models = self._models
        return Engine(
            replace(self.settings, search=search),
            progress=self.progress,
            load_clip=lambda _: models.clip(),
            load_describer=lambda name, _: models.describer(name),
        )

    @property
    def clip(self) -> Clip | None:
        """The loaded model; None before the first call and after `unload`."""
        return self._models.loaded_clip

    def unload(self) -> None:
        """Frees the models' memory, on the device and in RAM. The next call loads them again."""
        with self._lock:
            self._models.unload()
