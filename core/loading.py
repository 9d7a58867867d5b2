"""The models of one engine: each loaded when first needed, all freed together."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from .describers import EngineDescribers
from .progress import Progress
from .settings import BY_EVIDENCE, Mode, Search, Settings

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from .clip import Clip
    from .describe import Describer, Description
    from .describe.together import Words
    from .embed.blend import Blend
    from .embed.embedder import Embedder
    from .embed.embedders import Embedders
    from .embed.gap import GapCorrection
    from .embed.kinds import Way
    from .embed.projection import ClosedForms
    from .embed.ridge import RidgeFit
    from .embed.text_side import TextSide
    from .evidence.likelihoods import Evidence
    from .hub import Hub
    from .phrases import Category, Vocabulary
    from .phrases.families import Family
    from .phrases.table import PhraseTable
    from .prompt.interrogate import Interrogator, Subject
    from .prompt.judging import Told
    from .results import Interrogation
    from .study.analyze import Analyzer
    from .study.families import FamilyAnalysis


class EngineModels:
    """Not to be used by two threads at once. Its parameters are the engine's."""

    def __init__(
        self,
        settings: Settings,
        progress: Progress,
        clip: Clip | None,
        load_clip: Callable[[Progress], Clip] | None,
        load_describer: Callable[[str, Progress], Describer] | None,
        closed_forms: ClosedForms | None,
    ) -> None:
        self._settings = settings
        self._progress = progress
        self._given_clip = clip
        self.loaded_clip = clip
        self._lend_clip = load_clip or self._clip_by_name
        self._clip_is_lent = load_clip is not None
        self._describers = EngineDescribers(settings, progress, load_describer, self._nbytes)
        self._closed_forms = closed_forms
        self._interrogator: Interrogator | None = None
        self._evidence: Evidence | None = None
        self._analyzer: Analyzer | None = None
        self._embedders: Embedders | None = None
        self._words: Vocabulary | None = None

    def check(self, mode: Mode, captions: Sequence[str] | None) -> None:
        """What is known to be wrong of an interrogation before anything is loaded for it. captions: None where the
        captioner writes them. Raises SettingsError, PhraseError, ModelError, MissingPackageError."""
        from .describe import check_describer
        from .describe.asked import askings, asks_clip, names_asked
        from .prompt.checks import check_captions, check_mode, check_unseen, check_written

        settings = self._settings
        check_mode(mode)
        check_unseen(settings, mode, self.judges(captions is not None))
        check_written(replace(settings, search=self.search), mode)
        asked = askings(settings, mode, captions is not None)
        unwritten = [] if any(asking.caption for asking in asked) else [""]
        check_captions(mode, unwritten if captions is None else captions)
        seen = asks_clip(settings, mode)
        if seen:
            self._prompt_vocabulary()
        self._check_models(clip=seen)
        if not self._describers.are_lent:
            for name in names_asked(settings, mode, captions is not None):
                check_describer(name)

    def _check_models(self, clip: bool) -> None:
        from .clip.naming import check_clip

        if self.loaded_clip is not None or self._clip_is_lent:
            return
        if clip:
            check_clip(self._settings.clip)
        if self._settings.device not in ("auto", "cpu"):
            from .devices import pick_device  # and with it torch

            pick_device(self._settings.device)

    def check_embedding(self, family: str, way: Way, blend: Blend | None = None) -> None:
        """The same of an embedding. blend: None for a text's. Raises SettingsError, PhraseError, ModelError."""
        from .embed.blend import check_swaps, checked_choice
        from .embed.families import family_named

        projection = checked_choice(family_named(family), way.projection)
        if blend is None or self._embedders is not None:
            return
        if projection != "pinv":  # all others learn from texts
            check_swaps(blend.swaps, self.vocabulary())
        if way.searched and blend.anchor is None:
            self.check("best", None)

    def unload(self) -> None:
        # a host's engine serves one picture, and looking through all of a host's objects takes longer than that
        has_own_describers = self._describers.are_loaded and not self._describers.are_lent
        may_hold_itself = has_own_describers or not self._clip_is_lent
        self.loaded_clip = self._given_clip
        self._describers.let_go()
        self._interrogator = None
        self._evidence = None
        self._analyzer = None
        self._embedders = None
        self._words = None
        if may_hold_itself:
            gc.collect()
        if "torch" in sys.modules:  # without it nothing is on any device
            from .devices import empty_device_cache

            empty_device_cache()

    def clip(self) -> Clip:
        if self.loaded_clip is None:
            self.loaded_clip = self._lend_clip(self._progress)
        return self.loaded_clip

    def interrogator(self) -> Interrogator:
        from .phrases.table import PhraseTable
        from .prompt import memory
        from .prompt.interrogate import Interrogator

        if self._interrogator is None:
            vocabulary, clip = self._prompt_vocabulary(), self.clip()
            folder = Path(self._hub().folder) / "tables"

            def load_table() -> PhraseTable:
                budget = self._settings.memory
                room = None if budget is None else memory.room_for_table(budget, clip)
                table = PhraseTable.load(clip, vocabulary.positive(), folder, self._progress, room)
                if budget is not None:
                    memory.divide(budget, clip, table.nbytes_on(clip.device))
                return table

            settings = replace(self._settings, search=self.search)
            parts = (clip, vocabulary, load_table, settings, self._progress)
            self._interrogator = Interrogator(*parts, self.evidence)
        return self._interrogator

    def evidence(self) -> Evidence:
        """How likely what the families ask of is. Raises PhraseError, ModelError."""
        from .evidence.of_engine import load_bank, load_evidence
        from .phrases.composed import composed_prompts

        if self._evidence is None:
            clip, vocabulary = self.clip(), self._prompt_vocabulary()
            folder = Path(self._hub().folder) / "tables"
            with self._progress.task("Reading the families"):
                compose = partial(composed_prompts, vocabulary)
                bank = load_bank(clip, self._settings.bank, folder, compose, self._progress)
            self._evidence = load_evidence(clip, self.families(), self._table_of(0), bank)
        return self._evidence

    def families(self) -> tuple[Family, ...]:
        """What may be asked of a picture, as `vocabulary`. Raises PhraseError."""
        from .phrases.families import families_for

        return families_for(self._settings.phrases, self._is_micro)

    def asked_families(
        self, asked: bool | Sequence[str], top: int
    ) -> Callable[[Tensor], tuple[FamilyAnalysis, ...]] | None:
        """What gives a picture's; None where none is asked, or there is none. asked: whether, or which. Raises
        PhraseError."""
        from .study.families import analyse_families, check_families

        names = None if isinstance(asked, bool) else list(asked)
        known = [family.name for family in self.families()] if asked else []
        check_families(names or (), known)
        return (lambda features: analyse_families(self.evidence(), features, names, top)) if known else None

    @property
    def _is_micro(self) -> bool:
        return self._given_clip is None and self._settings.clip == "micro"

    def analyzer(self) -> Analyzer:
        """Under a memory budget its tables stay in main memory."""
        from .study.analyze import Analyzer

        if self._analyzer is None:
            room = None if self._settings.memory is None else 0
            self._analyzer = Analyzer(self.clip(), self._table_of(room), self._progress)
        return self._analyzer

    def _table_of(self, room: int | None) -> Callable[[Category], PhraseTable]:
        """What gives a category's table for the CLIP. room: as `PhraseTable.load` takes it."""
        from .phrases.table import PhraseTable

        clip, folder = self.clip(), Path(self._hub().folder) / "tables"
        return lambda category: PhraseTable.load(clip, [category], folder, self._progress, room)

    def embedder(
        self, family: str, fit: RidgeFit | None, encoders: Mapping[str, TextSide] | None, text_projection: Tensor | None
    ) -> Embedder:
        from .clip import Clip
        from .embed.embedders import Embedders
        from .embed.families import family_named
        from .embed.soft.knowledge import Knowledge

        def load(name: str) -> Clip:
            return Clip.load(name, self._settings.device, self._settings.precision, self._hub(), self._progress)

        if self._embedders is None:
            place = Path(self._hub().folder)
            knowledge = Knowledge(self.clip(), self.evidence, self._prompt_vocabulary, place, self._progress)
            made = (load, self._progress, self._closed_forms, knowledge)
            self._embedders = Embedders(self.clip(), self.vocabulary, place / "embed", *made)
        return self._embedders.embedder(family_named(family), fit, encoders, text_projection)

    def gap(self) -> GapCorrection | None:
        """Where the CLIP's pictures are, as far as that is known without more of them."""
        from .embed.gap import known_gap

        return known_gap(self.clip(), self._settings.bank)

    def vocabulary(self) -> Vocabulary:
        """What the settings name. The micro model knows the words of its own small world only. Raises PhraseError."""
        from .micro import PHRASES_FOLDER
        from .phrases.vocabulary import BUILT_IN_FOLDER, load_vocabulary

        return load_vocabulary(self._settings.phrases, PHRASES_FOLDER if self._is_micro else BUILT_IN_FOLDER)

    def looked_at(
        self,
        pictures: Iterable[Image],
        mode: Mode,
        captions: Sequence[str] | None,
        features: Tensor | None,
        by_clip: bool = True,
    ) -> tuple[list[Words], Tensor | None]:
        """What is said of each, and features, as given or as the models make them, going once over the pictures, of
        which none is held for the others. by_clip: whether features are wanted."""
        from .images import fit_image

        clip, fit = self.clip() if by_clip else None, self._settings.fit
        views: list[Tensor] = []

        def viewed() -> Iterator[Image]:
            for picture in pictures:
                if features is None and clip is not None:
                    views.append(clip.view(fit_image(picture, fit)))
                yield picture
                del picture

        shown = viewed()
        words = self.words(shown, mode, captions)
        for _ in shown:
            pass
        if clip is None:
            return words, features
        return words, clip.encode_views(views) if features is None else features.to(clip.device)

    def subjects(
        self, mode: Mode, features: Tensor | None, words: Sequence[Words], captions: Sequence[str] | None
    ) -> list[tuple[Subject, Told]]:
        """Of features [pictures, width] and what was said of each picture; none where nothing is to be searched.
        captions: those that were given."""
        from .prompt.judging import told

        if mode == "tags" or features is None:
            return []
        judge = self.judges(captions is not None)
        pinned = self.pinned(mode)
        known = [told(self.clip(), row, each, judge, pinned) for row, each in zip(features, words, strict=True)]
        found = self.interrogator().subjects(mode, features, [each.start for each in known])
        return self.heard(mode, list(zip(found, known, strict=True)))

    def heard(self, mode: Mode, known: list[tuple[Subject, Told]]) -> list[tuple[Subject, Told]]:
        """With how sure the captioner was of its words, where it can tell."""
        if not self._is_weighed(mode) or not any(told.seen is not None for _, told in known):
            return known
        return self._describers.weighed(known, self.evidence(), keep=self._is_written(mode))

    def prepare(self, mode: Mode, captions: Sequence[str] | None) -> Clip | None:
        """Checks, and loads what the mode needs, describers excepted. None for a mode that needs no CLIP."""
        from .describe.asked import asks_clip

        self.check(mode, captions)
        if not asks_clip(self._settings, mode):
            return None
        clip = self.clip()
        self.interrogator().prepare(mode)
        return clip

    def in_words(self, mode: Mode, subject: Subject, told: Told, started: float) -> Interrogation:
        """What a search finds. started: when, by `time.perf_counter`."""
        from .prompt.told import interrogation

        with self._describers.writing(subject, told) if self._is_written(mode) else nullcontext(subject) as known:
            trail = self.interrogator().run(mode, known)
        found = interrogation(self.clip(), trail, mode, subject, told, self._settings, started)
        if mode != "best":
            return found
        search = self.search
        bank = self.evidence().bank.told if search in BY_EVIDENCE else ""
        return replace(found, search=search, bank=bank)

    def _is_weighed(self, mode: Mode) -> bool:
        """Whether a captioner's words are weighed: of one that runs here, and need not make way for the search."""
        from .describe.kinds import kind_of

        name = self._settings.captioner
        if mode != "best" or name is None or self.search not in BY_EVIDENCE or self._describers.are_short_of_room:
            return False
        return self._describers.are_lent or kind_of(name).name == "captioner"

    def _is_written(self, mode: Mode) -> bool:
        return mode == "best" and self.search == "written"

    @cached_property
    def search(self) -> Search:
        """Of the mode "best"; looked up once, so that all of an engine's pictures are searched alike."""
        from .prompt.recommended import usual_search

        return usual_search(Path(self._hub().folder), self._settings)

    def unseen(self, mode: Mode, words: Words, seconds: float) -> Interrogation:
        """What was said, where no CLIP is asked."""
        from .prompt.tag_texts import captioned, tagged

        return (tagged if mode == "tags" else captioned)(words, self._settings, seconds)

    def pinned(self, mode: Mode) -> tuple[str, ...]:
        """The phrases that a prompt of the mode begins with, behind caption and tags."""
        return () if mode in ("negative", "caption", "tags") else self._settings.pinned

    def judges(self, captioned: bool) -> bool:
        """Whether the CLIP chooses among several captions. captioned: whether they were given."""
        from .describe.asked import compete

        return not captioned and compete(self._settings)

    def words(self, pictures: Iterable[Image], mode: Mode, captions: Sequence[str] | None) -> list[Words]:
        """Goes once over the pictures, where there is anybody to ask. captions: in the place of those that are written.
        Leaves the device to the search again, whose memory is the dearer one."""
        describers, written = self._describers, self._is_written(mode)
        seen = written or (self._is_weighed(mode) and captions is None)
        found = (describers.said_and_seen if seen else describers.said)(pictures, mode, captions)
        if describers.are_loaded and describers.are_short_of_room and not written:
            describers.let_go()
        return found

    def described(self, pictures: Iterable[Image]) -> list[Description]:
        """By the captioner alone. Raises SettingsError where there is none, UndescribedError."""
        return self._describers.described(pictures)

    def describer(self, name: str) -> Describer:
        return self._describers.named(name)

    def _nbytes(self) -> int:
        """That the CLIP holds."""
        return 0 if self.loaded_clip is None else self.loaded_clip.nbytes

    def _prompt_vocabulary(self) -> Vocabulary:
        """The vocabulary that prompts are made of, read once. Raises PhraseError."""
        from .prompt.checks import known_limits

        if self._words is None:
            vocabulary = self.vocabulary()
            known_limits(self._settings.limits, vocabulary)
            self._words = vocabulary
        return self._words

    def _clip_by_name(self, progress: Progress) -> Clip:
        from .clip.naming import check_clip

        settings = self._settings
        check_clip(settings.clip)
        with progress.task(f"Loading the CLIP {settings.clip}"):
            from .clip import Clip  # and with it torch, which a refusal need not wait for

            return Clip.load(settings.clip, settings.device, settings.precision, self._hub(), progress)

    def _hub(self) -> Hub:
        from .hub import Hub

        return Hub(self._settings.cache)
