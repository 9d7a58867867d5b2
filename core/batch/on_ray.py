"""A run over many pictures on a Ray cluster: each of its shards is a `Batch`, in actors that hold the models.

The only module that knows Ray. A shard's journal and outputs are those of `--shard`, on a file system that all nodes
have: a shard whose worker was lost is gone on with by another, and one that is complete is not looked at again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ..errors import BatchError, MissingPackageError, SettingsError, UnrenderError
from ..progress import SILENT, Progress
from ..settings import Mode, Settings
from .ahead import CHUNK
from .append import replace_file, writing
from .folders import Source
from .items import Item, Outcome
from .journal import Past, read_past
from .lock import folder_lock
from .run import Batch
from .shards import WHOLE, Shard, number_of_shard
from .sinks import Sink
from .todo import told_apart

_DRIVER = "ray"
_MOST_IN_A_SHARD = 64 * CHUNK
_ENOUGH_SHARDS = 256
"""So many that the last ones to end keep few workers waiting; beyond that shards grow rather than become more."""
_LOST_LOCK_SECONDS = 120.0  # after which network file systems let go of what a lost node held


class SinkOfShard(Protocol):
    def __call__(self, *, shard: Shard) -> Sink: ...


@dataclass(frozen=True)
class ShardDone:
    """What became of a shard. written: by this run. skipped: since their prompt was there. failures: each with its
    reason. error: what kept the shard from being finished."""

    shard: Shard
    written: int = 0
    skipped: int = 0
    failures: tuple[Outcome, ...] = ()
    error: UnrenderError | None = None


@dataclass
class _Work:
    """A shard, as a source. before: how many of the shard's pictures an earlier run has described."""

    shard: Shard
    root: Path
    items: tuple[Item, ...]
    before: int

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)


class RayBatch:
    """Iterating over it does the work and gives a `ShardDone` for each shard when it is complete.

    sink_of: gives the sink of a shard, on every node; it has to be picklable. jobs: threads of an actor that decode.
    total: pictures left to do, known once iterating has begun. written, failed, skipped: so far. errors: a pattern of
    the lists of failures, None without one.
    Raises, while iterating, what `Engine.batch` does, and MissingPackageError without Ray.
    """

    def __init__(
        self,
        settings: Settings,
        source: Source,
        sink_of: SinkOfShard,
        mode: Mode = "best",
        *,
        resume: bool = False,
        jobs: int | None = None,
        progress: Progress = SILENT,
    ) -> None:
        if settings.device.startswith("cuda:"):
            raise SettingsError(f"Ray chooses among a machine's GPUs, not --device {settings.device}; give cuda.")
        self._whole = sink_of(shard=WHOLE)
        if self._whole.chooses_names:
            raise SettingsError(
                f"--output {self._whole.label} chooses names by those in the folder, which other workers would change "
                "meanwhile; leave out --engine ray."
            )
        self._settings = replace(settings, limits=dict(settings.limits))  # which Ray can send
        self._source = source
        self._sink_of = sink_of
        self._mode: Mode = mode
        self._resume = resume
        self._jobs = jobs
        self._progress = progress
        self.total = self.skipped = self.written = self.failed = 0
        self.errors: Path | None = None

    def __iter__(self) -> Iterator[ShardDone]:
        _check_package()
        with folder_lock(self._whole.place, _DRIVER):
            items = list(told_apart(self._source, self._whole, Past()))
            note = _Note(self._whole)
            works = self._left(items, note.count_of_shards(len(items)))
            with self._progress.task("Describing pictures", self.total, "pictures") as task:
                for done in self._results(works, note) if works else ():
                    if done.error is not None:
                        raise done.error
                    self._count(done)
                    yield done
                    task.advance(done.written + len(done.failures))

    def _left(self, items: Sequence[Item], count: int) -> list[_Work]:
        """The shards that are not complete."""
        from ..engine import Engine

        parts: list[list[Item]] = [[] for _ in range(count)]
        for item in items:
            parts[number_of_shard(item.name, count) - 1].append(item)
        engine = Engine(self._settings)  # loads nothing
        how = {"resume": self._resume, "patience": _LOST_LOCK_SECONDS}
        left = []
        for number, part in enumerate(parts, 1):
            shard = Shard(number, count)
            work = _Work(shard, self._source.root, tuple(part), 0)
            batch = Batch(engine, work, self._sink_of(shard=shard), self._mode, shard=shard, **how)
            past = batch.hand_over()
            if past.finished and not batch.total:
                self.skipped += batch.skipped
            else:
                self.total += batch.total
                left.append(replace(work, before=len(past.done)))
        return left

    def _results(self, works: Sequence[_Work], note: _Note) -> Iterator[ShardDone]:
        import ray.data
        import ray.exceptions

        with _cluster():
            told = (self._settings, Path.cwd(), self._sink_of, self._mode, self._jobs, note)
            shards = ray.data.from_items(list(works), override_num_blocks=len(works)).map(
                _Describer,
                fn_constructor_args=told,
                compute=ray.data.ActorPoolStrategy(min_size=1),
                num_gpus=_gpus(self._settings.device),
            )
            try:
                for row in shards.iter_rows():
                    yield row["item"]
            except ray.exceptions.RayActorError as error:
                raise BatchError(
                    f"Workers could not be started or are gone ({_last_line(error)}); see that all nodes of the "
                    "cluster have this package and Ray, in the same versions."
                ) from error

    def _count(self, done: ShardDone) -> None:
        self.written += done.written
        self.failed += len(done.failures)
        self.skipped += done.skipped
        if done.failures:
            self.errors = self._whole.place / f"errors-*of{done.shard.count}.csv"


class _Note:
    """How many shards a run has, kept so that one that goes on has the same; and by which a node is seen to have the
    folder that the run writes to."""

    def __init__(self, whole: Sink) -> None:
        self._path = whole.journal.with_suffix(".shards").absolute()

    def count_of_shards(self, pictures: int) -> int:
        """As noted, or what suits so many pictures. Raises BatchError."""
        with writing(self._path):
            if self._path.exists():
                return self._noted()
            count = max(1, min(_ENOUGH_SHARDS, -(-pictures // CHUNK)), -(-pictures // _MOST_IN_A_SHARD))
            replace_file(self._path, f"{count}\n".encode())
        return count

    def check_here(self) -> None:
        """Raises BatchError on a node that has another folder of that name, or none."""
        if not self._path.exists():
            raise BatchError(
                f"The node {platform.node()} has not what the run writes in {self._path.parent.parent}; name a place "
                "that all nodes of the cluster have under one path."
            )

    def _noted(self) -> int:
        try:
            return Shard(1, int(self._path.read_text())).count
        except (ValueError, SettingsError) as error:
            raise BatchError(f"{self._path} holds no number of shards; move it away to begin anew.") from error


class _Describer:
    """An actor: an engine whose models stay, called with one shard after the other."""

    def __init__(
        self,
        settings: Settings,
        folder: Path,
        sink_of: SinkOfShard,
        mode: Mode,
        jobs: int | None,
        note: _Note,
    ) -> None:
        from ..engine import Engine

        with contextlib.suppress(OSError):
            os.chdir(folder)  # so that relative paths mean what they mean where the run was started
        self._engine = Engine(settings)
        self._sink_of = sink_of
        self._mode: Mode = mode
        self._jobs = jobs
        self._note = note

    def __call__(self, row: dict[str, _Work]) -> dict[str, ShardDone]:
        work = row["item"]
        try:
            self._note.check_here()
            done = self._described(work)
        except UnrenderError as error:
            done = ShardDone(work.shard, error=error)
        return {"item": done}

    def _described(self, work: _Work) -> ShardDone:
        """Goes on with what was begun here or on a node that was lost, so what was done is read from the journal."""
        sink = self._sink_of(shard=work.shard)
        how = {"resume": True, "jobs": self._jobs, "patience": _LOST_LOCK_SECONDS}
        batch = Batch(self._engine, work, sink, self._mode, shard=work.shard, **how)
        for _ in batch:
            pass
        past = read_past(sink.journal)
        failures = tuple(Outcome(name, None, reason) for name, reason in past.failures.items())
        return ShardDone(work.shard, len(past.done) - work.before, batch.skipped, failures)


@contextlib.contextmanager
def _cluster() -> Iterator[None]:
    """The cluster that this process is connected to, or RAY_ADDRESS names, else one on this machine for as long."""
    import ray.data

    begun = not ray.is_initialized()
    if begun:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody unasked
        try:
            ray.init(log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, RuntimeError) as error:
            raise BatchError(f"There is no Ray cluster to be had ({error}); see to RAY_ADDRESS.") from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield
    finally:
        if begun:
            ray.shutdown()


def _gpus(device: str) -> int:
    """What an actor needs of them. On a cluster that gets its GPUs only when they are asked for, "cuda" asks."""
    import ray

    if device == "auto":
        return int(ray.cluster_resources().get("GPU", 0) >= 1)
    return int(device == "cuda")


def _last_line(error: Exception) -> str:
    """Ray puts the worker's traceback before what happened."""
    return str(error).strip().rpartition("\n")[2]


def _check_package() -> None:
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise MissingPackageError('Ray is not installed; run `pip install ".[ray]"` in this folder.') from error
