"""What a worker on another machine does of a run: one shard after the other, each as a `Batch`.

A shard's journal and outputs are those of any run's shard, on a file system that all machines have: where its worker
was lost, another goes on with it.
"""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..errors import BatchError, SettingsError, UnrenderError
from ..files import read_own
from ..settings import Mode, Settings
from .ahead import CHUNK
from .append import replace_file, writing
from .items import Item, Outcome
from .journal import read_past
from .run import Batch
from .shards import Shard
from .sinks import Sink

_MOST_IN_A_SHARD = 64 * CHUNK
_LEAST_SHARDS = 2  # a single one would have the names, and the lock, of a run that is not shared
_ENOUGH_SHARDS = 256
"""So many that the last ones to end keep few workers waiting; beyond that shards grow rather than become more."""
_LONGEST_COUNT = 20
LOST_LOCK_SECONDS = 120.0
"""After which network file systems let go of what a lost machine held."""


class SinkOfShard(Protocol):
    def __call__(self, *, shard: Shard) -> Sink: ...


@dataclass(frozen=True)
class ShardDone:
    """What became of a shard. written: by this run. skipped: since their prompt was there. failures: each with its
    reason. error: what kept the shard from being finished. remarks: as `Batch` has them."""

    shard: Shard
    written: int = 0
    skipped: int = 0
    failures: tuple[Outcome, ...] = ()
    error: UnrenderError | None = None
    remarks: tuple[str, ...] = ()


@dataclass
class ShardWork:
    """A shard, as a source. before: how many of the shard's pictures an earlier run has described."""

    shard: Shard
    root: Path
    items: tuple[Item, ...]
    before: int

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)


class ShardsNote:
    """How many shards a run has, kept so that one that goes on has the same; and by which a node is seen to have the
    folder that the run writes to."""

    def __init__(self, whole: Sink) -> None:
        self._path = whole.journal.with_suffix(".shards").absolute()

    def count_of_shards(self, pictures: int) -> int:
        """As noted, or what suits so many pictures. Raises BatchError."""
        with writing(self._path):
            if self._path.exists():
                return self._noted()
            count = max(_LEAST_SHARDS, min(_ENOUGH_SHARDS, -(-pictures // CHUNK)), -(-pictures // _MOST_IN_A_SHARD))
            replace_file(self._path, f"{count}\n".encode())
        return count

    def check_here(self) -> None:
        """Raises BatchError on a node that has another folder of that name, or none."""
        if not self._path.exists():
            raise BatchError(
                f"The node {platform.node()} has not what the run writes in {self._path.parent.parent}",
                "name a place that all nodes of the cluster have under one path",
            )

    def _read(self) -> bytes:
        with read_own(self._path) as file:
            return file.read(_LONGEST_COUNT)

    def _noted(self) -> int:
        try:
            return Shard(_LEAST_SHARDS, int(self._read())).count
        except (ValueError, SettingsError) as error:
            raise BatchError(f"{self._path} holds no number of shards", "move it away to begin anew") from error


class Describer:
    """An engine whose models stay, called with one shard after the other.

    folder: where the run was started. sink_of: gives a shard's sink. jobs: threads that decode. note: the run's."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        sink_of: SinkOfShard,
        mode: Mode,
        jobs: int | None,
        note: ShardsNote,
    ) -> None:
        from ..engine import Engine

        with contextlib.suppress(OSError):
            os.chdir(folder)  # so that relative paths mean what they mean where the run was started
        self._engine = Engine(settings)
        self._sink_of = sink_of
        self._mode: Mode = mode
        self._jobs = jobs
        self._note = note

    def __call__(self, row: dict[str, ShardWork]) -> dict[str, ShardDone]:
        work = row["item"]
        try:
            self._note.check_here()
            done = self._described(work)
        except UnrenderError as error:
            done = ShardDone(work.shard, error=error)
        return {"item": done}

    def _described(self, work: ShardWork) -> ShardDone:
        """Goes on with what was begun here or on a node that was lost, so what was done is read from the journal."""
        sink = self._sink_of(shard=work.shard)
        how = {"resume": True, "jobs": self._jobs, "patience": LOST_LOCK_SECONDS}
        batch = Batch(self._engine, work, sink, self._mode, shard=work.shard, **how)
        for _ in batch:
            pass
        past = read_past(sink.journal)
        failures = tuple(Outcome(name, None, reason) for name, reason in past.failures.items())
        written = len(past.done) - work.before
        return ShardDone(work.shard, written, batch.skipped, failures, remarks=tuple(batch.remarks))
