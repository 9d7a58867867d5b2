"""What every door calls: settings in, prompts out; models loaded when first needed and freed on request."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from .errors import SettingsError
from .progress import SILENT, Progress
from .results import Interrogation, Location, PhraseGain
from .settings import MODES, CaptionSettings, Mode, Settings

if TYPE_CHECKING:
    from .caption import Captioner
    from .clip import Clip
    from .explain import HeatMap
    from .hub import Hub
    from .interrogate import Interrogator
    from .phrases import Vocabulary

__all__ = ["CaptionSettings", "Engine", "Settings"]


class Engine:
    """Interrogates pictures with one set of settings. Safe to share between threads: calls wait for each other.

    clip: a model that is loaded already (`Clip.from_open_clip`, `Clip.from_transformers`), used for settings.clip.
    progress: hears of downloads, tables and searches, and is asked whether to go on.
    """

    def __init__(self, settings: Settings | None = None, clip: Clip | None = None, progress: Progress = SILENT) -> None:
        self.settings = settings or Settings()
        self.progress = progress
        self._given_clip = clip
        self._clip = clip
        self._captioner: Captioner | None = None
        self._interrogator: Interrogator | None = None
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
        from .images import fit_image, open_image
        from .interrogate import Subject, framed

        if mode not in MODES:
            raise SettingsError(f"There is no mode {mode!r}; choose one of {', '.join(MODES)}.")
        picture = open_image(image)
        with self._lock:
            clip = self._load_clip()
            interrogator = self._load_interrogator(clip)
            interrogator.prepare(mode)
            captioner = self._load_captioner() if caption is None and mode != "negative" else None
            started = time.perf_counter()
            if captioner is not None:
                caption = self._describe(captioner, picture)
            features = clip.encode_images([fit_image(picture, self.settings.fit)])[0]
            trail = interrogator.run(mode, Subject(features, (caption or "").strip()))
            prompt, similarity = trail.prompt, trail.similarity
            if mode != "negative" and framed(prompt, self.settings) != prompt:
                prompt = framed(prompt, self.settings)
                similarity = float(clip.encode_texts([prompt])[0] @ features)
            return Interrogation(
                prompt,
                similarity,
                mode,
                (caption or "").strip(),
                trail.phrases,
                clip.name,
                time.perf_counter() - started,
                trail.risk,
            )

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

    @property
    def clip(self) -> Clip | None:
        """The loaded model; None before the first call and after `unload`."""
        return self._clip

    def unload(self) -> None:
        """Frees the models' memory, on the device and in RAM. The next call loads them again."""
        with self._lock:
            self._clip = self._given_clip
            self._captioner = None
            self._interrogator = None
            gc.collect()
            _empty_device_cache()

    def _load_clip(self) -> Clip:
        from .clip import Clip

        if self._clip is None:
            settings = self.settings
            self._clip = Clip.load(settings.clip, settings.device, settings.precision, self._hub(), self.progress)
        return self._clip

    def _load_interrogator(self, clip: Clip) -> Interrogator:
        from . import memory
        from .interrogate import Interrogator
        from .phrases.table import PhraseTable

        if self._interrogator is None:
            vocabulary = self._read_vocabulary()
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

    def _read_vocabulary(self) -> Vocabulary:
        """The micro model knows the words of its own small world only."""
        from .micro import PHRASES_FOLDER
        from .phrases.vocabulary import BUILT_IN_FOLDER, load_vocabulary

        micro = self._given_clip is None and self.settings.clip == "micro"
        return load_vocabulary(self.settings.phrases, PHRASES_FOLDER if micro else BUILT_IN_FOLDER)

    def _load_captioner(self) -> Captioner | None:
        from .caption import Captioner

        settings = self.settings
        if self._captioner is None and settings.captioner is not None:
            self._captioner = Captioner.load(
                settings.captioner, settings.device, hub=self._hub(), progress=self.progress, wait=True
            )
        return self._captioner

    def _describe(self, captioner: Captioner, picture: Any) -> str:
        """Leaves the device to the search again, whose memory is the dearer one."""
        from .devices import pick_device

        device, budget = pick_device(self.settings.device), self.settings.memory
        held = 0 if self._clip is None else self._clip.nbytes
        if device.type != "cpu" and (budget is None or captioner.nbytes + held <= budget):
            captioner.to(device)
        text = captioner.caption([picture], self.settings.captioning)[0]
        captioner.to("cpu")
        if device.type == "cpu" and budget is not None:
            self._captioner = None
        return text

    def _hub(self) -> Hub:
        from .hub import Hub

        return Hub(self.settings.cache)


def _empty_device_cache() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
