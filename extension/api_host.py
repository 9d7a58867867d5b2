"""The program that the API is part of: whose models it uses, when, and with what settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..core.engine import Engine
from ..core.settings import Settings
from .choices import AUTOMATIC, Preferences
from .jobs import Job, Jobs
from .models import MakeRoom, Models

if TYPE_CHECKING:
    from ..core.embed.families import Family


@dataclass(frozen=True)
class Host:
    """What the API asks of the program it is part of.

    settings, preferences: what holds where a request says nothing else. turn: waits until nothing else is done.
    interrupted: whether the program was told to stop.
    """

    models: Models
    settings: Callable[[], Settings]
    preferences: Callable[[], Preferences]
    turn: Callable[[Job], AbstractContextManager[None]]
    make_room: MakeRoom
    interrupted: Callable[[], bool]
    jobs: Jobs = field(default_factory=Jobs)

    @contextmanager
    def engine(self, settings: Settings, captions: bool) -> Iterator[Engine]:
        """Lends one while it is the request's turn. captions: whether a captioner is wanted.

        Raises ModelError, MissingPackageError, Cancelled."""
        job = Job(self.interrupted)
        with self.jobs.running(job), self.turn(job):
            keeping = self.preferences().keeping
            with self.models.engine(settings, captions, keeping, self.make_room, job) as engine:
                yield engine

    def seeing(self, family: Family) -> str:
        """The CLIP that sees pictures for a family."""
        chosen = self.preferences().seeing
        return family.clip if chosen == AUTOMATIC else chosen
