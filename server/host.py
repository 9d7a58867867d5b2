"""The program that page and API are part of: whose models they use, when, and with what settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..core.engine import Engine
from ..core.settings import Settings
from .choices import AUTOMATIC, LEAVE_ON_DEVICE, Preferences
from .downloads import Download, check_agreed, downloads_of
from .folders import ANYWHERE, Folders
from .jobs import ASKER_LEFT, Job, Jobs
from .line import Line
from .models import MakeRoom, Models, check_names
from .needs import Needs
from .pixels import Pixels
from .servers import check_servers

if TYPE_CHECKING:
    from ..core.embed.families import Family


@dataclass(frozen=True)
class Host:
    """What page and API ask of the program they are part of.

    settings, preferences: what holds where a request says nothing else. turn: waits until nothing else is done.
    interrupted: whether the program was told to stop. folders: where those who ask may name files.
    """

    models: Models
    settings: Callable[[], Settings]
    preferences: Callable[[], Preferences]
    turn: Callable[[Job], AbstractContextManager[None]]
    make_room: MakeRoom
    interrupted: Callable[[], bool]
    jobs: Jobs = field(default_factory=Jobs)
    line: Line = field(default_factory=Line)
    pixels: Pixels = field(default_factory=Pixels)
    folders: Folders = ANYWHERE

    @contextmanager
    def engine(self, settings: Settings, needs: Needs) -> Iterator[Engine]:
        """`lent` to a job of its own."""
        job = self.job()
        with self.jobs.running(job), self.lent(job, settings, needs) as engine:
            yield engine

    @contextmanager
    def lent(self, job: Job, settings: Settings, needs: Needs) -> Iterator[Engine]:
        """An engine while it is the job's turn.

        Raises SettingsError, LineIsFull, ModelError, MissingPackageError, DownloadFirst, Cancelled."""
        self.check(settings)
        if job.agreed is not None:
            check_agreed(self._downloads(job, settings, needs), job.agreed)
        keeping = self.preferences().keeping
        with (
            self.line.turn(job),
            self.turn(job),
            self.models.engine(settings, needs, keeping, self.make_room, job) as engine,
        ):
            yield engine

    def check(self, settings: Settings) -> None:
        """Whether a visitor may name such models and phrases, before anything of them is looked at. Raises
        SettingsError, ModelError."""
        usual = self.settings()
        self.folders.check(settings, usual)
        check_servers(settings, usual)

    def _downloads(self, job: Job, settings: Settings, needs: Needs) -> list[Download]:
        check_names(settings, needs)
        with job.task("Looking what is on this disk"):
            return downloads_of(settings, needs, [each.name for each in self.models.loaded])

    def unload(self) -> None:
        """Frees the models' memory when it is its turn. Raises LineIsFull, Cancelled."""
        with self.line.turn(self.job()):
            self.models.unload()

    def job(self) -> Job:
        """One that ends where the program is told to stop, or whoever asks for it here leaves."""
        left = ASKER_LEFT.get()
        return Job(self.interrupted if left is None else lambda: left.is_set() or self.interrupted())

    def seeing(self, family: Family) -> str:
        """The CLIP that sees pictures for a family."""
        chosen = self.preferences().seeing
        return family.clip if chosen == AUTOMATIC else chosen


def alone(settings: Settings, stopped: Callable[[], bool] = lambda: False, folders: Folders = ANYWHERE) -> Host:
    """For a program of its own, which has the device to itself. stopped: whether it is about to end."""
    preferences = Preferences.of(settings, LEAVE_ON_DEVICE)
    return Host(
        Models(),
        lambda: settings,
        lambda: preferences,
        lambda _: nullcontext(),
        lambda _: nullcontext(),
        stopped,
        folders=folders,
    )
