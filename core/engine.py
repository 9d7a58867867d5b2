"""What every door calls: settings in, prompts out; models loaded when first needed and freed on request."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .errors import SettingsError
from .progress import SILENT, Progress
from .results import Interrogation, Location, PhraseGain
from .settings import MODES, CaptionSettings, Mode, Settings

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from .analyze import Analysis, Analyzer
    from .batch import Batch, Shard, Sink, Source
    from .caption import Captioner
    from .clip import Clip
    from .embed import PromptEmbedding
    from .embed.embedder import Blend, Embedder
    from .embed.embedders import Embedders
    from .embed.gap import GapCorrection
    from .embed.projection import ClosedForms
    from .embed.ridge import Fit
    from .embed.seen import Seen
    from .embed.text_side import TextSide
    from .explain import HeatMap
    from .hub import Hub
    from .interrogate import Interrogator, Subject
    from .match import Match
    from .phrases import Category, Vocabulary

__all__ = ["CaptionSettings", "Engine", "Settings"]


class Engine:
    """Interrogates pictures with one set of settings. Safe to share between threads: calls wait for each other.

    clip: a model that is loaded already (`Clip.from_open_clip`, `Clip.from_transformers`), used for settings.clip.
    progress: hears of downloads, tables and searches, and is asked whether to go on.
    load_clip, load_captioner: for hosts that keep models themselves: asked instead of loading what the settings name,
    when a model is first needed and again after `unload`.
    closed_forms: of "pinv", for who makes an engine for every picture and need not compute them each time.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        clip: Clip | None = None,
        progress: Progress = SILENT,
        *,
        load_clip: Callable[[Progress], Clip] | None = None,
        load_captioner: Callable[[Progress], Captioner | None] | None = None,
        closed_forms: ClosedForms | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.progress = progress
        self._given_clip = clip
        self._clip = clip
        self._lend_clip = load_clip or self._clip_by_name
        self._clip_is_lent = load_clip is not None
        self._lend_captioner = load_captioner or self._captioner_by_name
        self._closed_forms = closed_forms
        self._captioner: Captioner | None = None
        self._interrogator: Interrogator | None = None
        self._analyzer: Analyzer | None = None
        self._embedders: Embedders | None = None
        self._lock = threading.RLock()

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unload()

    def interrogate(self, image: Any, mode: Mode = "best", caption: str | None = None) -> Interrogation:
        """A prompt for a picture: a path, bytes, a PIL image, or a numpy or torch array (see `core.images.open_image`).

        caption: used instead of the captioner's; "" for none.
        Raises ImageError, ModelError, PhraseError, SettingsError, or Cancelled.
        """
        return self.interrogate_together([image], mode, caption)

    def interrogate_together(
        self,
        images: Sequence[Any],
        mode: Mode = "best",
        caption: str | None = None,
        weights: Sequence[float] | None = None,
    ) -> Interrogation:
        """One prompt for what several pictures share (see `core.together.shared_features`).

        caption: "" for none; when absent the one of the pictures' captions that suits all of them best.
        weights: how much each picture counts, equally when absent. Raises what `interrogate` does.
        """
        from .images import open_images
        from .interrogate import Subject
        from .together import shared_caption, shared_features

        pictures = open_images(images)
        with self._lock:
            clip = self._prepare(mode)
            started = time.perf_counter()
            captions = self._captions(pictures, mode) if caption is None else [caption]
            features = shared_features(self._encode(clip, pictures), weights)
            caption = shared_caption(clip, captions, features) if any(captions) else ""
            return self._in_words(mode, Subject(features, caption.strip()), started)

    def interrogate_each(
        self, images: Sequence[Any], mode: Mode = "best", captions: Sequence[str] | None = None
    ) -> Iterator[Interrogation]:
        """A prompt for each of several pictures, in their order, each given when it is found. All captions come first,
        then all the CLIP sees, so that no model waits for another.

        captions: one for each picture in the captioner's place, "" for none. Raises what `interrogate` does.
        """
        from .images import open_images

        pictures = open_images(images)
        with self._lock:
            clip = self._prepare(mode)
            started = time.perf_counter()
            texts = self._captions(pictures, mode) if captions is None else captions
            features = self._encode(clip, pictures)
            subjects = self._load_interrogator(clip).subjects(mode, features, texts)
            share = (time.perf_counter() - started) / len(pictures)
        for subject in subjects:
            with self._lock:  # not while the caller has the prompt
                found = self._in_words(mode, subject, time.perf_counter() - share)
            yield found

    def batch(
        self,
        source: Source,
        sink: Sink,
        mode: Mode = "best",
        *,
        resume: bool = False,
        dry_run: bool = False,
        shard: Shard | None = None,
        jobs: int | None = None,
    ) -> Batch:
        """Iterating over what it returns describes a source's pictures, hands each outcome to the sink and then gives
        it; `core.batch` has sources and sinks.

        resume: goes on with an earlier run of the same sink. dry_run: writes nothing. shard: the part that is this
        machine's. jobs: threads that decode; what suits the machine when absent.
        Raises, while iterating, BatchError, ModelError, PhraseError, SettingsError, or Cancelled, all results until
        then being kept. A picture that cannot be read or written is an outcome.
        """
        from .batch import Batch, Shard

        return Batch(self, source, sink, mode, resume=resume, dry_run=dry_run, shard=shard or Shard(), jobs=jobs)

    def worth(self, image: Any, prompt: str) -> tuple[PhraseGain, ...]:
        """What each comma-separated part of a finished prompt is worth: by how much its similarity to the picture
        falls without it, negative where the prompt is better without. Raises ImageError, ModelError, SettingsError."""
        from .images import fit_image, open_image
        from .search import Scorer, worth_of_parts

        if not prompt.strip(" ,"):
            raise SettingsError("There is no prompt to weigh; give one.")
        picture = open_image(image)
        with self._lock:
            clip = self._load_clip()
            features = clip.encode_images([fit_image(picture, self.settings.fit)])[0]
            return worth_of_parts(Scorer(clip, features), prompt)

    def analyze(self, images: Any, categories: Sequence[str] | None = None, top: int = 5) -> tuple[Analysis, ...]:
        """Per category, the phrases most like each picture and how likely each is among the others.

        images: a list or tuple of pictures, or one picture. categories: names of the vocabulary's or of
        `core.phrases.FURTHER`; None for all of the vocabulary but the negative ones. top: phrases of each, 1 or more.
        Raises ImageError, ModelError, PhraseError (unknown category), SettingsError, or Cancelled.
        """
        return self._analyze(images, categories, top, together=False)

    def analyze_together(
        self,
        images: Sequence[Any],
        categories: Sequence[str] | None = None,
        top: int = 5,
        weights: Sequence[float] | None = None,
    ) -> Analysis:
        """One analysis of what several pictures share (see `core.together.shared_features`); else as `analyze`."""
        return self._analyze(images, categories, top, together=True, weights=weights)[0]

    def match(self, images: Any, phrases: Sequence[str], templates: Sequence[str] = ()) -> Match:
        """Which of the phrases fits which picture, and the other way round.

        images: as for `analyze`. templates: texts with {} in the phrase's place; several are averaged.
        Raises ImageError, ModelError, SettingsError (no phrases, a template without {}), or Cancelled.
        """
        from .images import open_images
        from .match import check_question, match

        check_question(phrases, templates)
        pictures = open_images(images)
        with self._lock:
            clip = self._load_clip()
            return match(clip, self._encode(clip, pictures), phrases, templates)

    def explain(self, image: Any, phrases: Sequence[str]) -> tuple[HeatMap, ...]:
        """Where in a picture each phrase finds its support (see `core.explain.heat_maps`).

        Raises ImageError, ModelError (also for models that do not see by patches), SettingsError, or Cancelled."""
        from .explain import heat_maps
        from .images import open_image

        picture = open_image(image)
        with self._lock:
            return heat_maps(self._load_clip(), picture, phrases, self.settings.fit)

    def locate(self, image: Any, phrase: str) -> Location:
        """Coarse boxes around what a phrase names in a picture, and the heat map they come from.

        Raises the errors of `explain`."""
        with self._lock:
            heat = self.explain(image, [phrase])[0]
            return Location(heat.phrase, heat.boxes(), heat, self._load_clip().name)

    def embed(
        self,
        images: Any,
        family: str = "sd15",
        projection: str | None = None,
        blend: Blend | None = None,
        gap: GapCorrection | None = None,
        fit: Fit | None = None,
        *,
        encoders: Mapping[str, TextSide] | None = None,
        text_projection: Tensor | None = None,
    ) -> PromptEmbedding:
        """One embedding of one or several pictures, in place of a prompt's (see `core.embed`).

        images: as for `analyze`, or what the engine's CLIP has seen of them already (`core.embed.seen.Seen`).
        family: a name of `core.embed.families.FAMILIES`; the engine's CLIP has to be the one whose text encoder it
        listens to, for SDXL the second. projection: one of `core.embed.families.PROJECTIONS`; None for what
        `unrender verify` recommends for these text encoders, else the family's usual one. All but "pinv" learn from
        texts at their first use (fit: how) and keep it.
        gap: see `measure_gap`; micro's is known. encoders: the checkpoint's own text encoders by name, where they are
        not the CLIP's own. text_projection: [joint width, text width] in place of the CLIP's own.
        Raises ImageError, ModelError, SettingsError, EmbeddingError, or Cancelled.
        """
        from .embed.embedder import Blend, checked_choice
        from .embed.families import family_named
        from .embed.gap import shipped_gap

        checked_choice(family_named(family), projection)  # before anything is loaded
        blend = blend or Blend()
        look, pictures = self._looking_at(images)
        with self._lock:
            embedder = self._embedder(family, fit, encoders, text_projection)
            clip = self._load_clip()
            seen, chosen = look(clip), embedder.choice(projection)
            unknown = pictures if chosen == "anchored" and blend.anchor is None else []
            anchors = [self.interrogate(picture, "fast").prompt for picture in unknown]
            return embedder.embed(seen.features, seen.keys, chosen, blend, gap or shipped_gap(clip.name), anchors)

    def embed_text(
        self, text: str, family: str = "sd15", *, encoders: Mapping[str, TextSide] | None = None
    ) -> PromptEmbedding:
        """What the family's text encoders make of a text of any length, to be composed with pictures' embeddings (see
        `core.embed.composing`). encoders: as for `embed`. Raises ModelError, SettingsError, or Cancelled."""
        with self._lock:
            return self._embedder(family, None, encoders, None).text(text)

    def picture_features(self, images: Any) -> Tensor:
        """What the CLIP sees in each picture: [pictures, joint width], float32, normalised, in main memory.

        images: as for `analyze`. Raises ImageError, ModelError, SettingsError, or Cancelled."""
        from .images import open_images

        pictures = open_images(images)
        with self._lock:
            return self._encode(self._load_clip(), pictures).cpu()

    def text_features(self, texts: Sequence[str]) -> Tensor:
        """Each text where `picture_features` has the pictures it describes: [texts, joint width], as there. Texts are
        cut to the CLIP's context. Raises ModelError, SettingsError, or Cancelled."""
        with self._lock:
            return self._load_clip().encode_texts(list(texts)).cpu()

    def measure_gap(self, images: Any) -> GapCorrection:
        """What varied pictures (as for `embed`), about 40, say of where the CLIP's pictures are, to move them to where
        its texts are.

        Raises ImageError, ModelError, SettingsError, or Cancelled."""
        from .embed.gap import GapCorrection

        look, _ = self._looking_at(images)
        with self._lock:
            return GapCorrection.measured(look(self._load_clip()).features)

    @property
    def clip(self) -> Clip | None:
        """The loaded model; None before the first call and after `unload`."""
        return self._clip

    def unload(self) -> None:
        """Frees the models' memory, on the device and in RAM. The next call loads them again."""
        from .devices import empty_device_cache

        with self._lock:
            # a host's engine serves one picture, and looking through all of a host's objects takes longer than that
            may_hold_itself = self._captioner is not None or not self._clip_is_lent
            self._clip = self._given_clip
            self._captioner = None
            self._interrogator = None
            self._analyzer = None
            self._embedders = None
            if may_hold_itself:
                gc.collect()
            empty_device_cache()

    def _analyze(
        self,
        images: Any,
        categories: Sequence[str] | None,
        top: int,
        together: bool,
        weights: Sequence[float] | None = None,
    ) -> tuple[Analysis, ...]:
        from .analyze import analyse, check_top
        from .images import open_images
        from .phrases.vocabulary import select_categories

        check_top(top)
        chosen = select_categories(self.read_vocabulary(), categories)
        pictures = open_images(images)
        with self._lock:
            clip = self._load_clip()
            analyzer = self._load_analyzer(clip)
            return analyse(analyzer, self._encode(clip, pictures), chosen, top, together, weights)

    def _encode(self, clip: Clip, pictures: Sequence[Image]) -> Tensor:
        from .images import fit_image

        return clip.encode_images([fit_image(picture, self.settings.fit) for picture in pictures])

    def _looking_at(self, images: Any) -> tuple[Callable[[Clip], Seen], list[Image]]:
        """What gives a CLIP's view of pictures, and those that are at hand, opened before a CLIP is loaded."""
        from .embed.seen import Seen
        from .images import image_key, open_images

        if isinstance(images, Seen):
            return lambda _: images, []
        pictures = open_images(images)
        return lambda clip: Seen(self._encode(clip, pictures), tuple(map(image_key, pictures))), pictures

    def _prepare(self, mode: Mode) -> Clip:
        """Loads what the mode needs, the captioner excepted."""
        if mode not in MODES:
            raise SettingsError(f"There is no mode {mode!r}; choose one of {', '.join(MODES)}.")
        clip = self._load_clip()
        self._load_interrogator(clip).prepare(mode)
        return clip

    def _in_words(self, mode: Mode, subject: Subject, started: float) -> Interrogation:
        from .interrogate import framed

        clip = self._load_clip()
        trail = self._load_interrogator(clip).run(mode, subject)
        prompt, similarity = trail.prompt, trail.similarity
        if mode != "negative" and framed(prompt, self.settings) != prompt:
            prompt = framed(prompt, self.settings)
            similarity = float(clip.encode_texts([prompt])[0] @ subject.features)
        seconds = time.perf_counter() - started
        return Interrogation(prompt, similarity, mode, subject.caption, trail.phrases, clip.name, seconds, trail.risk)

    def _load_clip(self) -> Clip:
        if self._clip is None:
            self._clip = self._lend_clip(self.progress)
        return self._clip

    def _clip_by_name(self, progress: Progress) -> Clip:
        from .clip import Clip

        settings = self.settings
        return Clip.load(settings.clip, settings.device, settings.precision, self._hub(), progress)

    def _load_interrogator(self, clip: Clip) -> Interrogator:
        from . import memory
        from .interrogate import Interrogator
        from .phrases.table import PhraseTable

        if self._interrogator is None:
            vocabulary = self.read_vocabulary()
            folder = Path(self._hub().folder) / "tables"

            def load_table() -> PhraseTable:
                budget = self.settings.memory
                room = None if budget is None else memory.room_for_table(budget, clip)
                table = PhraseTable.load(clip, vocabulary.positive(), folder, self.progress, room)
                if budget is not None:
                    memory.divide(budget, clip, table.nbytes_on(clip.device))
                return table

            self._interrogator = Interrogator(clip, vocabulary, load_table, self.settings, self.progress)
        return self._interrogator

    def _load_analyzer(self, clip: Clip) -> Analyzer:
        """Under a memory budget its tables stay in main memory."""
        from .analyze import Analyzer
        from .phrases.table import PhraseTable

        if self._analyzer is None:
            folder = Path(self._hub().folder) / "tables"
            room = None if self.settings.memory is None else 0

            def load_table(category: Category) -> PhraseTable:
                return PhraseTable.load(clip, [category], folder, self.progress, room)

            self._analyzer = Analyzer(clip, load_table, self.progress)
        return self._analyzer

    def _embedder(
        self, family: str, fit: Fit | None, encoders: Mapping[str, TextSide] | None, text_projection: Tensor | None
    ) -> Embedder:
        from .clip import Clip
        from .embed.embedders import Embedders
        from .embed.families import family_named

        def load(name: str) -> Clip:
            return Clip.load(name, self.settings.device, self.settings.precision, self._hub(), self.progress)

        if self._embedders is None:
            folder = Path(self._hub().folder) / "embed"
            vocabulary, forms = self.read_vocabulary, self._closed_forms
            self._embedders = Embedders(self._load_clip(), vocabulary, folder, load, self.progress, forms)
        return self._embedders.embedder(family_named(family), fit, encoders, text_projection)

    def read_vocabulary(self) -> Vocabulary:
        """What the settings name. The micro model knows the words of its own small world only. Raises PhraseError."""
        from .micro import PHRASES_FOLDER
        from .phrases.vocabulary import BUILT_IN_FOLDER, load_vocabulary

        micro = self._given_clip is None and self.settings.clip == "micro"
        return load_vocabulary(self.settings.phrases, PHRASES_FOLDER if micro else BUILT_IN_FOLDER)

    def _load_captioner(self) -> Captioner | None:
        if self._captioner is None:
            self._captioner = self._lend_captioner(self.progress)
        return self._captioner

    def _captioner_by_name(self, progress: Progress) -> Captioner | None:
        from .caption import Captioner

        name, device = self.settings.captioner, self.settings.device
        return None if name is None else Captioner.load(name, device, hub=self._hub(), progress=progress, wait=True)

    def _captions(self, pictures: Sequence[Image], mode: Mode) -> list[str]:
        """Leaves the device to the search again, whose memory is the dearer one."""
        from .devices import pick_device

        captioner = None if mode == "negative" else self._load_captioner()
        if captioner is None:
            return [""] * len(pictures)
        device, budget = pick_device(self.settings.device), self.settings.memory
        held = 0 if self._clip is None else self._clip.nbytes
        if device.type != "cpu" and (budget is None or captioner.nbytes + held <= budget):
            captioner.to(device)
        texts = captioner.caption(pictures, self.settings.captioning)
        captioner.to("cpu")
        if device.type == "cpu" and budget is not None:
            self._captioner = None
        return texts

    def _hub(self) -> Hub:
        from .hub import Hub

        return Hub(self.settings.cache)
