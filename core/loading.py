"""The models of one engine: each loaded when first needed, all freed together."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .progress import Progress
from .settings import UNCAPTIONED, Mode, Settings

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from .clip import Clip
    from .describe import Describer
    from .embed.embedder import Blend, Embedder
    from .embed.embedders import Embedders
    from .embed.projection import ClosedForms
    from .embed.ridge import RidgeFit
    from .embed.text_side import TextSide
    from .hub import Hub
    from .phrases import Category, Vocabulary
    from .prompt.interrogate import Interrogator
    from .study.analyze import Analyzer


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
        self._lend_describer = load_describer or self._describer_by_name
        self._describers_are_lent = load_describer is not None
        self._closed_forms = closed_forms
        self._describers: dict[str, Describer] = {}
        self._interrogator: Interrogator | None = None
        self._analyzer: Analyzer | None = None
        self._embedders: Embedders | None = None
        self._words: Vocabulary | None = None

    def check(self, mode: Mode, captions: Sequence[str] | None) -> None:
        """What is known to be wrong of an interrogation before anything is loaded for it. captions: None where the
        captioner writes them. Raises SettingsError, PhraseError, ModelError, MissingPackageError."""
        from .clip.naming import check_clip
        from .describe import check_describer
        from .prompt.checks import check_captions, check_mode

        settings = self._settings
        check_mode(mode)
        unwritten = [""] if settings.captioner is None else []
        check_captions(mode, unwritten if captions is None else captions)
        self._prompt_vocabulary()
        if self.loaded_clip is None and not self._clip_is_lent:
            check_clip(settings.clip)
            if settings.device not in ("auto", "cpu"):
                from .devices import pick_device  # and with it torch

                pick_device(settings.device)
        writes = captions is None and mode not in UNCAPTIONED
        if writes and settings.captioner is not None and not self._describers_are_lent:
            check_describer(settings.captioner)

    def check_embedding(self, family: str, projection: str | None = None, blend: Blend | None = None) -> None:
        """The same of an embedding. blend: None for a text's. Raises SettingsError, PhraseError, ModelError."""
        from .embed.embedder import check_swaps, checked_choice
        from .embed.families import family_named

        usual = checked_choice(family_named(family), projection)
        if blend is None or self._embedders is not None:
            return
        if usual != "pinv":  # all others learn from texts
            check_swaps(blend.swaps, self.vocabulary())
        if projection == "anchored" and blend.anchor is None:
            self.check("fast", None)

    def unload(self) -> None:
        # a host's engine serves one picture, and looking through all of a host's objects takes longer than that
        may_hold_itself = bool(self._describers) or not self._clip_is_lent
        self.loaded_clip = self._given_clip
        self._describers.clear()
        self._interrogator = None
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

            self._interrogator = Interrogator(clip, vocabulary, load_table, self._settings, self._progress)
        return self._interrogator

    def analyzer(self) -> Analyzer:
        """Under a memory budget its tables stay in main memory."""
        from .phrases.table import PhraseTable
        from .study.analyze import Analyzer

        if self._analyzer is None:
            clip = self.clip()
            folder = Path(self._hub().folder) / "tables"
            room = None if self._settings.memory is None else 0

            def load_table(category: Category) -> PhraseTable:
                return PhraseTable.load(clip, [category], folder, self._progress, room)

            self._analyzer = Analyzer(clip, load_table, self._progress)
        return self._analyzer

    def embedder(
        self, family: str, fit: RidgeFit | None, encoders: Mapping[str, TextSide] | None, text_projection: Tensor | None
    ) -> Embedder:
        from .clip import Clip
        from .embed.embedders import Embedders
        from .embed.families import family_named

        def load(name: str) -> Clip:
            return Clip.load(name, self._settings.device, self._settings.precision, self._hub(), self._progress)

        if self._embedders is None:
            folder = Path(self._hub().folder) / "embed"
            vocabulary, forms = self.vocabulary, self._closed_forms
            self._embedders = Embedders(self.clip(), vocabulary, folder, load, self._progress, forms)
        return self._embedders.embedder(family_named(family), fit, encoders, text_projection)

    def vocabulary(self) -> Vocabulary:
        """What the settings name. The micro model knows the words of its own small world only. Raises PhraseError."""
        from .micro import PHRASES_FOLDER
        from .phrases.vocabulary import BUILT_IN_FOLDER, load_vocabulary

        micro = self._given_clip is None and self._settings.clip == "micro"
        return load_vocabulary(self._settings.phrases, PHRASES_FOLDER if micro else BUILT_IN_FOLDER)

    def looked_at(
        self, pictures: Iterable[Image], mode: Mode, captions: Sequence[str] | None, features: Tensor | None
    ) -> tuple[Sequence[str], Tensor]:
        """Captions and features, as given or as the models make them, going once over the pictures, of which none is
        held for the others."""
        from .images import fit_image

        clip, fit = self.clip(), self._settings.fit
        views: list[Tensor] = []

        def viewed() -> Iterator[Image]:
            for picture in pictures:
                if features is None:
                    views.append(clip.view(fit_image(picture, fit)))
                yield picture
                del picture

        shown = viewed()
        texts = self.captions(shown, mode) if captions is None else captions
        for _ in shown:
            pass
        return texts, clip.encode_views(views) if features is None else features.to(clip.device)

    def captions(self, pictures: Iterable[Image], mode: Mode) -> list[str]:
        """Goes once over the pictures. Leaves the device to the search again, whose memory is the dearer one."""
        from .devices import pick_device

        name = self._settings.captioner
        if mode in UNCAPTIONED or name is None:
            return [""] * sum(1 for _ in pictures)
        captioner = self._describer(name)
        device, budget = pick_device(self._settings.device), self._settings.memory
        held = 0 if self.loaded_clip is None else self.loaded_clip.nbytes
        try:
            if device.type != "cpu" and (budget is None or captioner.nbytes + held <= budget):
                captioner.to(device)
            texts = captioner.caption(pictures, self._settings.captioning)
        finally:
            captioner.to("cpu")
        if device.type == "cpu" and budget is not None:
            self._describers.clear()
        return texts

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

    def _describer(self, name: str) -> Describer:
        if name not in self._describers:
            self._describers[name] = self._lend_describer(name, self._progress)
        return self._describers[name]

    def _describer_by_name(self, name: str, progress: Progress) -> Describer:
        from .describe import load_describer

        with progress.task(f"Loading the captioner {name}"):
            return load_describer(name, self._settings.device, hub=self._hub(), progress=progress, wait=True)

    def _hub(self) -> Hub:
        from .hub import Hub

        return Hub(self._settings.cache)
