"""A folder's pictures described beside them, in one call, for doors that show a sum."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SettingsError
from ..settings import Mode
from .folders import FolderSource
from .journal import read_past
from .run import Batch
from .sinks import Existing
from .template import Template
from .texts import TextSink

if TYPE_CHECKING:
    from ..engine import Engine


@dataclass(frozen=True)
class Captioned:
    """written: texts that this call wrote. skipped: pictures that had one. failed: pictures that could not be
    described, listed in the file `errors`, which is None when there are none. seconds: wall time."""

    written: int
    skipped: int
    failed: int
    errors: Path | None
    seconds: float


def caption_folder(
    engine: Engine,
    folder: str | os.PathLike[str],
    mode: Mode = "fast",
    existing: Existing = "skip",
    recursive: bool = False,
    template: str = "{prompt}",
) -> Captioned:
    """Writes PICTURE.txt beside each picture, each as soon as it is found. A call after one that was stopped goes on.

    existing: what to do where that file is there. template: see `Template`. The engine's progress hears of each picture
    and may raise to stop. Raises SettingsError (no folder, no pictures), BatchError (another run is at work there, disk
    full, read-only), ModelError, ...; a picture that fails is counted and listed.
    """
    started = time.perf_counter()
    root = Path(folder)
    source, sink = FolderSource(root, recursive), TextSink(root, existing, Template(template))
    batch = Batch(engine, source, sink, mode, resume=not read_past(sink.journal).finished)
    for _ in batch:
        pass
    if not batch.total and not batch.skipped and next(iter(source), None) is None:  # not all done by an earlier call
        raise SettingsError(f"There are no pictures in {root}", "name a folder that has some")
    return Captioned(batch.written, batch.skipped, batch.failed, batch.errors, time.perf_counter() - started)
