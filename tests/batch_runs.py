"""What the tests of batches share: pictures, an engine that answers at once, and folders to compare."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from unrender.core.batch import Batch, Sink, Source, sink_named, source_named
from unrender.core.batch.outputs import OUTPUTS
from unrender.core.batch.renaming import UNDO_NAME
from unrender.core.progress import SILENT, Progress
from unrender.core.results import Interrogation, PhraseGain
from unrender.core.settings import Mode, Search, Settings

IN_FOLDERS = tuple(name for name, kind in OUTPUTS.items() if kind.where == "folder")

KINDS: dict[str, dict[str, Any]] = {
    name: options
    for output, kind in OUTPUTS.items()
    for name, options in (
        *(() if kind.usual else ((output, {}),)),
        *((f"{output}-{way}", {"existing": way}) for way in kind.ways),
    )
}
"""Every output, and every way it has with what is there, by a name that begins with the output's."""


class QuickEngine:
    """Tells a picture's colour in words, after `delay` seconds; as an engine does, it gives one at a time.

    What it says of a picture also tells how many others were looked at with it, as rounding does in a real model."""

    def __init__(self, delay: float = 0.0, progress: Progress = SILENT, words: str = "a square, number {}") -> None:
        self.settings = Settings()
        self.progress = progress
        self.seen: list[int] = []
        self._delay = delay
        self._words = words

    def usual_search(self) -> Search:
        return self.settings.searched

    def check(self, mode: Mode = "best") -> None:
        """Nothing is wrong with what it is asked."""

    def interrogate_each(
        self,
        images: Iterable[Any],
        mode: Mode = "best",
        captions: Sequence[str] | None = None,
        failed: Any = None,
    ) -> Iterator[Interrogation]:
        images = list(images)
        self.seen.append(len(images))
        for image in images:
            time.sleep(self._delay)
            number = image.getpixel((0, 0))[0]
            phrases = (PhraseGain("a square", "caption", 0.25),)
            similarity = number / 256 + len(images) / 2**40
            yield Interrogation(self._words.format(number % 5), similarity, mode, "a square", phrases, "quick", 0.1)


def draw(folder: Path, count: int, broken: int = 0, suffix: str = ".png") -> Path:
    """So many pictures, every third one in a folder below, some with texts beside them, and files that are none."""
    (folder / "below").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        place = folder / "below" if number % 3 == 0 else folder
        Image.new("RGB", (8, 8), (number, 0, 0)).save(place / f"{number:04}{suffix}")
        if number % 4 == 0:
            (place / f"{number:04}.txt").write_text("an old text", encoding="utf-8")
            (place / f"{number:04}.json").write_text("{}", encoding="utf-8")
    for number in range(broken):
        (folder / f"broken{number}.png").write_bytes(b"no picture")
    return folder


def batch(engine: QuickEngine, folder: Path, output: str = "txt", mode: Mode = "fast", **more: Any) -> Batch:
    """A run over a folder and those below it, with its output in the folder "made" beside it where it needs one."""
    source: Source = source_named([str(folder)], recursive=True)
    place = folder.parent / "made" if output in IN_FOLDERS else None
    options = {name: more.pop(name) for name in ("existing", "template") if name in more}
    sink: Sink = sink_named(output, source.root, place, **options)  # pyright: ignore[reportArgumentType]
    return Batch(engine, source, sink, mode, **more)  # pyright: ignore[reportArgumentType]


def run_kind(kind: str, folder: Path, engine: QuickEngine | None = None, **more: Any) -> Batch:
    """A whole run of one of `KINDS`."""
    made = batch(engine or QuickEngine(), folder, kind.split("-")[0], **{**KINDS[kind], **more})
    for _ in made:
        pass
    return made


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that is no note of a run's own, by its path. How often a failure was noted is no part of it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".unrender" not in path.parts and path.name != UNDO_NAME
    }
