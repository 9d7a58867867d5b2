"""What a page asks of its host, and what it shows of a run."""

from __future__ import annotations

import html
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from ..core.errors import Cancelled
from ..core.results import Interrogation
from .choices import Preferences, Request
from .jobs import Job, Jobs, reports
from .wording import sentence_for

WAIT, DONE, FAULT = "wait", "done", "fault"


@dataclass(frozen=True)
class Service:
    """What a page asks of its host.

    interrogate: finds a prompt, on behalf of a job. job: a new one. written: a prompt as the host's prompt fields take
    it. preferences: what is set now.
    """

    interrogate: Callable[[Request, Job], Interrogation]
    job: Callable[[], Job]
    written: Callable[[str], str]
    preferences: Callable[[], Preferences]
    captioners: Sequence[str]
    vocabularies: Sequence[str]
    jobs: Jobs


@dataclass(frozen=True)
class Report:
    """One message of a run: text to show and what kind it is; key: the job's while it runs; found: at the end."""

    text: str
    kind: str
    key: str = ""
    found: Interrogation | None = None

    @property
    def line(self) -> str:
        return f'<p class="unrender-{self.kind}" role="status">{html.escape(self.text)}</p>' if self.text else ""


def run(service: Service, request: Request) -> Generator[Report, None, None]:
    """Interrogates and reports; errors become reports."""
    job = service.job()
    if request.picture is None:
        yield Report("There is no picture; put one in first.", FAULT)
        return
    with service.jobs.running(job) as key:
        yield Report("Starting …", WAIT, key)
        try:
            work = reports(job, lambda job: service.interrogate(request, job))
            found = yield from _relayed(work, key)
            yield Report(f"{found.seconds:.1f} s with {found.model}.", DONE, found=found)
        except Cancelled:
            yield Report("Stopped.", DONE)
        except Exception as error:  # noqa: BLE001  whatever it is, the person is told
            yield Report(sentence_for(error), FAULT)


def _relayed(work: Generator[str, None, Interrogation], key: str) -> Generator[Report, None, Interrogation]:
    while True:
        try:
            text = next(work)
        except StopIteration as ended:
            return ended.value
        yield Report(f"{text} …" if text else "Working …", WAIT, key)
