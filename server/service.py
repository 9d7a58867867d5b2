"""What a page asks of its host, and what it shows of a piece of work."""

from __future__ import annotations

import html
from collections.abc import Callable, Collection, Generator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..core.errors import Cancelled
from ..core.printable import visible
from ..core.results import Interrogation
from .choices import NO_PICTURE, Preferences, Request
from .downloads import DownloadFirst
from .host import Host
from .jobs import Job, Jobs, reports
from .wording import sentence_for
from .work import interrogation

T = TypeVar("T")

WAIT, DONE, FAULT, ASK = "wait", "done", "fault", "ask"
_OF_BEFORE = "Of the picture before: "


@dataclass(frozen=True)
class Service:
    """What a page asks of its host.

    host: whose models do the work. written: a prompt as the host's prompt fields take it. read: what they make of it.
    """

    host: Host
    written: Callable[[str], str]
    captioners: Sequence[str]
    vocabularies: Sequence[str]
    read: Callable[[str], str] = str

    @property
    def jobs(self) -> Jobs:
        return self.host.jobs

    def preferences(self) -> Preferences:
        return self.host.preferences()


@dataclass(frozen=True)
class Report(Generic[T]):
    """One message of a piece of work: text to show and what kind it is; key: the job's while it runs; found: at the
    end; asked: the names of what it would download."""

    text: str
    kind: str
    key: str = ""
    found: T | None = None
    asked: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        return (
            f'<p class="unrender-{self.kind}" role="status">{html.escape(visible(self.text))}</p>' if self.text else ""
        )


def run(service: Service, request: Request) -> Generator[Report[Interrogation], None, None]:
    """Interrogates and reports; errors become reports."""
    if request.picture is None:
        yield Report(NO_PICTURE, FAULT)
        return
    yield from follow(service, lambda job: interrogation(service.host, request, job), told_of)


def told_of(found: Interrogation) -> str:
    """The last line of an interrogation."""
    return f"{found.seconds:.1f} s with {found.model}."


def follow(
    service: Service, work: Callable[[Job], T], said: Callable[[T], str], agreed: Collection[str] | None = None
) -> Generator[Report[T], None, None]:
    """Does the work and reports; errors become reports. said: the last line, of what the work returned. agreed: as a
    job's."""
    job = service.host.job()
    job.agreed = agreed
    with service.jobs.running(job) as key:
        yield Report("Starting …", WAIT, key)
        try:
            found = yield from _relayed(reports(job, work), key)
            yield Report(f"{_OF_BEFORE if job.outdated else ''}{said(found)}", DONE, found=found)
        except Cancelled as error:
            yield Report(str(error), DONE)
        except DownloadFirst as first:
            yield Report(f"{first.problem}.", ASK, asked=first.names)
        except Exception as error:  # noqa: BLE001  whatever it is, the person is told
            yield Report(sentence_for(error), FAULT)


def _relayed(work: Generator[str, None, T], key: str) -> Generator[Report[T], None, T]:
    while True:
        try:
            text = next(work)
        except StopIteration as ended:
            return ended.value
        yield Report(f"{text} …" if text else "Working …", WAIT, key)
