"""The describers of one engine: each loaded when first asked, and on the device only while it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from .progress import Progress
from .settings import Mode, Settings

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from .describe import Describer, Description
    from .describe.next_words import NextWords
    from .describe.together import Words
    from .evidence.likelihoods import Evidence
    from .prompt.judging import Told
    from .prompt.subject import Subject

Lend = Callable[[str, Progress], "Describer"]


class EngineDescribers:
    """lend: of a host that keeps them itself, by name. held: bytes that others hold on the device."""

    def __init__(self, settings: Settings, progress: Progress, lend: Lend | None, held: Callable[[], int]) -> None:
        self._settings = settings
        self._progress = progress
        self.are_lent = lend is not None
        self._lend = lend or self._by_name
        self._held = held
        self._loaded: dict[str, Describer] = {}

    def named(self, name: str) -> Describer:
        if name not in self._loaded:
            self._loaded[name] = self._lend(name, self._progress)
        return self._loaded[name]

    @property
    def captioner(self) -> Describer:
        return self.named(str(self._settings.captioner))

    @property
    def are_loaded(self) -> bool:
        return bool(self._loaded)

    def let_go(self) -> None:
        self._loaded.clear()

    def said(self, pictures: Iterable[Image], mode: Mode, captions: Sequence[str] | None) -> list[Words]:
        """Goes once over the pictures. captions: in the place of those that are written."""
        from .describe.asked import askings
        from .describe.together import Words, Written, described

        asked = askings(self._settings, mode, captions is not None)
        given = None if captions is None else [Words((Written(text.strip(), "", 0),)) for text in captions]
        if not asked:
            return [Words() if given is None else given[number] for number, _ in enumerate(pictures)]
        describers = {asking.name: self.named(asking.name) for asking in asked}
        found = described(pictures, asked, describers, self.placed, self._progress)
        if given is None:
            return found
        return [Words(own.captions, told.beside, told.failure) for own, told in zip(given, found, strict=True)]

    def said_and_seen(self, pictures: Iterable[Image], mode: Mode, captions: Sequence[str] | None) -> list[Words]:
        """The same with what the captioner kept of each picture."""
        captioner, seen = self.captioner, []

        def kept() -> Iterator[Image]:
            for picture in pictures:
                seen.append(captioner.seen(picture))
                yield picture
                del picture

        words = self.said(kept(), mode, captions)
        return [replace(each, seen=view) for each, view in zip(words, seen, strict=True)]

    def weighed(
        self, known: Sequence[tuple[Subject, Told]], evidence: Evidence, keep: bool
    ) -> list[tuple[Subject, Told]]:
        """With how sure the captioner was of its words, where it can tell: all in one turn on the device. keep: whether
        what it kept of the pictures is wanted yet."""
        from .prompt.honest.in_context import heard_of

        found, asking = [], self._progress.task("Weighing the captions", len(known), "pictures")
        with self.placed(self.captioner), asking as task:
            for subject, told in known:
                words = self._next_words(told)
                if words is not None:
                    subject = replace(subject, heard=heard_of(words, evidence, subject.features, told.caption))
                found.append((subject, told if keep else replace(told, seen=None)))
                task.advance()
        return found

    @contextmanager
    def writing(self, subject: Subject, told: Told) -> Iterator[Subject]:
        """The subject with who writes on. Raises SettingsError where the captioner cannot be told word by word."""
        from .prompt.checks import no_writer
        from .prompt.subject import Writing

        with self.placed(self.captioner):
            words = self._next_words(told)
            if words is None:
                raise no_writer(str(self._settings.captioner))
            yield replace(subject, writing=Writing(words, told.caption))

    def _next_words(self, told: Told) -> NextWords | None:
        return None if told.seen is None else self.captioner.next_words(told.seen, self._settings.captioning)

    def described(self, pictures: Iterable[Image]) -> list[Description]:
        """By the captioner alone. Raises SettingsError where there is none, UndescribedError."""
        from .describe import checked
        from .prompt.checks import check_captions

        if self._settings.captioner is None:
            check_captions("caption", [""])
        with self.placed(self.captioner):
            return checked(self.captioner.describe(pictures, self._settings.captioning, self._progress))

    @contextmanager
    def placed(self, describer: Describer) -> Iterator[None]:
        """On the device meanwhile, where there is room for it beside what others hold."""
        device, budget = self.device(), self._settings.memory
        try:
            if device.type != "cpu" and (budget is None or describer.nbytes + self._held() <= budget):
                describer.to(device)
            yield
        finally:
            describer.to("cpu")

    @property
    def are_short_of_room(self) -> bool:
        """Whether models that wait take what a search may need."""
        return self._settings.memory is not None and self.device().type == "cpu"

    def device(self) -> torch.device:
        from .devices import pick_device

        return pick_device(self._settings.device)

    def _by_name(self, name: str, progress: Progress) -> Describer:
        from .describe import load_describer

        with progress.task(f"Loading the describer {name}"):
            from .devices import describing  # and with it torch
            from .hub import Hub

            settings = self._settings
            dtype, bits, hub = describing(settings.precision), settings.quantization, Hub(settings.cache)
            return load_describer(name, settings.device, dtype, hub, progress, wait=True, quantization=bits)
