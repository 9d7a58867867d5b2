"""A run over many pictures on a Ray cluster, whose actors take a shard each. The only module that knows Ray."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..cures import Choose, Give, Install, LeaveOut
from ..errors import BatchError, MissingPackageError, SettingsError
from ..progress import SILENT, Progress
from ..settings import Mode, Settings
from .folders import Source
from .items import Item
from .journal import Past
from .lock import folder_lock
from .run import Batch
from .shards import WHOLE, Shard, number_of_shard
from .todo import told_apart
from .worker import LOST_LOCK_SECONDS, Describer, ShardDone, ShardsNote, ShardWork, SinkOfShard

_DRIVER = "ray"


class RayBatch:
    """Iterating over it does the work and gives a `ShardDone` for each shard when it is complete.

    sink_of: gives the sink of a shard, on every node; it has to be picklable. jobs: threads of an actor that decode.
    total: pictures left to do, known once iterating has begun. written, failed, skipped: so far. errors: a pattern of
    the lists of failures, None without one.
    Raises, while iterating, what `Batch` does, and MissingPackageError without Ray.
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
        from ..engine import Engine

        if settings.device.startswith("cuda:"):
            problem = f"Ray chooses among a machine's GPUs itself, not {settings.device}"
            raise SettingsError(problem, Choose("device", ("cuda",)))
        self._whole = sink_of(shard=WHOLE)
        if self._whole.chooses_names:
            raise SettingsError(
                f"The output {self._whole.label} chooses names by those in the folder, which other workers would "
                "change meanwhile",
                LeaveOut("workers"),
            )
        self._settings = replace(settings, limits=dict(settings.limits))  # which Ray can send
        self._engine = Engine(replace(settings, device="cpu"))  # loads nothing; the workers' devices are not here
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
        self._engine.check(self._mode)
        with folder_lock(self._whole.place, _DRIVER):
            items = list(told_apart(self._source, self._whole, Past()))
            note = ShardsNote(self._whole)
            works = self._left(items, note.count_of_shards(len(items)))
            with self._progress.task("Describing pictures", self.total, "pictures") as task:
                for done in self._results(works, note) if works else ():
                    if done.error is not None:
                        raise done.error
                    self._count(done)
                    yield done
                    task.advance(done.written + len(done.failures))

    def _left(self, items: Sequence[Item], count: int) -> list[ShardWork]:
        """The shards that are not complete."""
        parts: list[list[Item]] = [[] for _ in range(count)]
        for item in items:
            parts[number_of_shard(item.name, count) - 1].append(item)
        how = {"resume": self._resume, "patience": LOST_LOCK_SECONDS}
        left = []
        for number, part in enumerate(parts, 1):
            shard = Shard(number, count)
            work = ShardWork(shard, self._source.root, tuple(part), 0)
            batch = Batch(self._engine, work, self._sink_of(shard=shard), self._mode, shard=shard, **how)
            past = batch.hand_over()
            if past.finished and not batch.total:
                self.skipped += batch.skipped
            else:
                self.total += batch.total
                left.append(replace(work, before=len(past.done)))
        return left

    def _results(self, works: Sequence[ShardWork], note: ShardsNote) -> Iterator[ShardDone]:
        import ray.data
        import ray.exceptions

        with _cluster() as may_grow:
            told = (self._settings, Path.cwd(), self._sink_of, self._mode, self._jobs, note)
            gpus = _gpus(self._settings.device)
            memory = 0 if gpus else self._settings.memory or 0
            if not may_grow:
                _check_room(gpus, memory)
            shards = ray.data.from_items(list(works), override_num_blocks=len(works)).map(
                Describer,
                fn_constructor_args=told,
                compute=ray.data.ActorPoolStrategy(min_size=1),
                num_gpus=gpus,
                memory=memory,
            )
            try:
                for row in shards.iter_rows():
                    yield row["item"]
            except ray.exceptions.RayActorError as error:
                raise BatchError(
                    f"Workers could not be started or are gone ({_last_line(error)})",
                    "see that all nodes of the cluster have this package and Ray, in the same versions",
                ) from error

    def _count(self, done: ShardDone) -> None:
        self.written += done.written
        self.failed += len(done.failures)
        self.skipped += done.skipped
        if done.failures:
            self.errors = self._whole.place / f"errors-*of{done.shard.count}.csv"


@contextlib.contextmanager
def _cluster() -> Iterator[bool]:
    """The cluster that this process is connected to, or RAY_ADDRESS names, else one on this machine for as long. Gives
    whether machines may be added to it."""
    import ray.data

    begun = not ray.is_initialized()
    if begun:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody unasked
        try:
            ray.init(log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, RuntimeError) as error:
            raise BatchError(f"There is no Ray cluster to be had ({error})", "see to RAY_ADDRESS") from error
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        yield not begun or "RAY_ADDRESS" in os.environ
    finally:
        if begun:
            ray.shutdown()


def _gpus(device: str) -> int:
    """What an actor needs of them. On a cluster that gets its GPUs only when they are asked for, "cuda" asks."""
    import ray

    if device == "auto":
        return int(ray.cluster_resources().get("GPU", 0) >= 1)
    return int(device == "cuda")


def _check_room(gpus: int, memory: int) -> None:
    """SettingsError where Ray would wait for ever for what a worker needs."""
    import ray

    has = ray.cluster_resources()
    if gpus > has.get("GPU", 0):
        raise SettingsError("Ray sees no GPU on this machine", LeaveOut("device"), "name a cluster in RAY_ADDRESS")
    if memory > has["memory"]:
        raise SettingsError(
            f"Ray has {has['memory'] / 1e9:.1f} GB of this machine's memory to give to workers",
            Give("memory", "less"),
        )


def _last_line(error: Exception) -> str:
    """Ray puts the worker's traceback before what happened."""
    return str(error).strip().rpartition("\n")[2]


def _check_package() -> None:
    try:
        import ray.data  # noqa: F401
    except ImportError as error:
        raise MissingPackageError("Ray is not installed", Install(("'ray[data]'",))) from error
