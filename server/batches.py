"""What the page Batch has done for it: all pictures of a folder, with a text for each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from ..core.errors import Cancelled, SettingsError
from .choices import Request
from .folders import Folders
from .host import Host
from .jobs import Job
from .needs import needs_of

if TYPE_CHECKING:
    from ..core.batch import Batch, Existing, FolderSource, Item

AS_USUAL = "as usual"
"""For what is there already: what the kind of output usually does."""


@dataclass(frozen=True)
class BatchRequest:
    """each: what is asked about every picture, itself without one. place: the file or folder that is written, for the
    outputs that take one. For the rest see `core.batch.kinds`."""

    folder: str
    each: Request
    output: str = "txt"
    place: str = ""
    existing: str = AS_USUAL
    template: str = "{prompt}"
    recursive: bool = False
    resume: bool = True


def described(host: Host, asked: BatchRequest, job: Job) -> str:
    """Does the run and sums it up in a sentence. Raises what `Batch` does, Cancelled with what is done."""
    from ..core.batch import Batch, FolderSource, Template, sink_named

    if not asked.folder.strip():
        raise SettingsError("There is no folder", "name one with pictures in it")
    listed = FolderSource(host.folders.checked(asked.folder), asked.recursive)
    source = _Within(listed, host.folders)
    if next(iter(source), None) is None:
        raise SettingsError(f"There are no pictures in {source.root}", "name a folder that has some")
    place = host.folders.checked(asked.place) if asked.place.strip() else None
    existing = None if asked.existing == AS_USUAL else cast("Existing", asked.existing)
    sink = sink_named(asked.output, source.root, place, existing, Template(asked.template), base=source.root)
    each = asked.each
    settings = each.settings(host.settings())
    with host.lent(job, settings, needs_of(settings, each.mode)) as engine:
        started = time.perf_counter()
        batch = Batch(engine, source, sink, each.mode, resume=asked.resume)
        try:
            for _ in batch:
                pass
        except Cancelled as error:
            raise Cancelled(f"Stopped; {batch.written:,} pictures are done and kept.") from error
        return _summary(batch, time.perf_counter() - started)


class _Within:
    """A source's pictures, without those that links in its folder lead to from outside what may be read."""

    def __init__(self, source: FolderSource, folders: Folders) -> None:
        self.root = source.root
        self._source, self._folders = source, folders

    def __iter__(self) -> Iterator[Item]:
        return (item for item in self._source if item.path is None or self._folders.hold(item.path))


def _summary(batch: Batch, seconds: float) -> str:
    if not batch.total:
        return " ".join(["No pictures are left to do.", *batch.remarks])
    facts = [f"{batch.written:,} pictures in {seconds:,.0f} s"]
    if batch.skipped:
        facts.append(f"{batch.skipped:,} skipped because their text is there")
    if batch.errors is not None:
        facts.append(f"{batch.failed:,} failed, see {batch.errors}")
    return " ".join(["; ".join(facts) + ".", *batch.remarks])
