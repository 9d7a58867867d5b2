"""How close a prompt is to the picture once a person has changed it, in the eyes of the CLIP that judged it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.file_names import pasted
from .choices import Request
from .jobs import Job
from .needs import SIGHT
from .service import DONE, Report, Service, follow
from .work import Found, opened

if TYPE_CHECKING:
    from ..core.embed.seen import Seen
    from ..core.engine import Engine


@dataclass(frozen=True)
class Judge:
    """Who judged a prompt that was found. clip: as it was asked for; "" where none was. similarity, room: as they were
    found. seen: what it sees of the picture, once it has been asked again. picture: that it judged, where the page had
    another by then."""

    clip: str = ""
    similarity: float = 0.0
    room: int | None = None
    seen: Seen | None = None
    picture: Any = None

    @classmethod
    def of(cls, found: Found, request: Request, outdated: bool = False) -> Judge:
        """outdated: whether the page has another picture by now."""
        similarity = found.interrogation.similarity
        if similarity is None:
            return cls()
        return cls(pasted(request.clip), similarity, found.room, picture=request.picture if outdated else None)


class Weighed(NamedTuple):
    """A changed prompt. tokens: of it."""

    similarity: float
    tokens: int
    judge: Judge

    @property
    def line(self) -> str:
        change = self.similarity - self.judge.similarity
        if abs(change) < 0.00005:
            return f"Similarity {self.similarity:.4f}, as it was found."
        return f"Similarity {self.similarity:.4f}: {abs(change):.4f} {'less' if change < 0 else 'more'} than as found."


def weighed(service: Service, judge: Judge, picture: Any, prompt: str, job: Job) -> Weighed:
    """prompt: as the host's fields have it. Raises UnrenderErrors."""
    host, text = service.host, service.read(prompt)
    settings = replace(host.settings(), clip=judge.clip, captioner=None)
    if judge.seen is not None:
        with host.lent(job, settings, SIGHT) as engine:
            return _weighed(engine, judge, judge.seen, text)
    shown = picture if judge.picture is None else judge.picture
    with opened(host, shown, job) as look, host.lent(job, settings, SIGHT) as engine:
        from ..core.embed.seen import Seen

        return _weighed(engine, judge, Seen.of(engine.picture_features([look])), text)


def _weighed(engine: Engine, judge: Judge, seen: Seen, text: str) -> Weighed:
    (similarity,) = engine.similarity(seen, [text])
    assert engine.clip is not None
    return Weighed(similarity, engine.clip.text.length(text), replace(judge, seen=seen, picture=None))


def weigh(
    service: Service, judge: Judge, picture: Any, prompt: str, finding: str = ""
) -> Generator[Report[Weighed], None, None]:
    """Nothing is said where nobody judged, or nothing is left; nor once a later question has ended this one, nor while
    a new prompt is being found. finding: the key of the job that does."""
    unseen = judge.seen is None and judge.picture is None and picture is None
    if not judge.clip or unseen or not prompt.strip(" ,\n") or service.jobs.is_running(finding):
        yield Report("", DONE)
        return
    for report in follow(service, lambda job: weighed(service, judge, picture, prompt, job), lambda found: found.line):
        stopped = report.kind == DONE and report.found is None
        yield Report("", DONE) if stopped else report
