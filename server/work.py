"""What the pages have done for them: each on behalf of a job, with an engine that the host lends.

All raise UnrenderErrors, before anything is loaded where the picture cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.errors import ImageError, MissingPackageError, SettingsError
from ..core.results import Interrogation
from ..core.settings import Mode, Settings
from .choices import NO_PICTURE, Request, Study
from .host import Host
from .jobs import Job
from .needs import SIGHT, needs_of, sight_of
from .tagged import analysed
from .wording import sentence_for

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..core.study.analyze import Analysis
    from ..core.study.explain import Location
    from ..core.study.match import Match


class Found(NamedTuple):
    """A prompt. tokens: of it, and room: for how many there is, start and end included; None for any number. captioner:
    that was asked."""

    interrogation: Interrogation
    tokens: int
    room: int | None
    captioner: str | None = None


class Analysed(NamedTuple):
    """remark: why there is no chart; empty where there is one."""

    analysis: Analysis
    chart: Image | None
    remark: str = ""


class Located(NamedTuple):
    """heat: the picture with the phrase's support over it."""

    location: Location
    heat: Image

    @property
    def summary(self) -> str:
        """One line, whose eyes it was seen with aside."""
        boxes = self.location.boxes
        if not boxes:
            return "Nothing in the picture speaks for it."
        best = boxes[0]
        place = f"({best.left}, {best.top}) to ({best.right}, {best.bottom})"
        return f"Best from {place} in pixels, with a support of {best.score:.2f}."


def interrogation(host: Host, request: Request, job: Job) -> Interrogation:
    return found_prompt(host, request, job).interrogation


def found_prompt(host: Host, request: Request, job: Job) -> Found:
    from ..core.prompt.tag_texts import tokens

    with opened(host, request.picture, job) as picture:
        settings = request.settings(host.settings())
        with host.lent(job, settings, needs_of(settings, request.mode, request.caption is not None)) as engine:
            result = engine.interrogate(picture, request.mode, request.caption)
            if engine.clip is None or result.similarity is None:  # no CLIP is asked for tags
                return Found(result, tokens(result.prompt), settings.token_limit)
            text = engine.clip.text
            length, asked = text.length(result.prompt), None if request.caption else settings.captioner
            return Found(result, length, _room(request.mode, settings, text.context_length, length), asked)


def _room(mode: Mode, settings: Settings, read: int, length: int) -> int | None:
    """For tokens. read: as many as the CLIP reads; a caption alone may have more, as image models may read more."""
    if mode == "caption":
        return settings.token_limit or (read if length <= read else None)
    return min(settings.token_limit or read, read)


def analysis(host: Host, study: Study, categories: Sequence[str], dark: bool, job: Job) -> Analysed:
    """categories: none for all of the vocabulary. dark: the chart's ground."""
    from ..core.describe.asked import check_tells_tags
    from ..core.drawing.chart import chart_image

    with opened(host, study.picture, job) as picture:
        settings = study.settings(host.settings())
        host.check(settings)
        check_tells_tags(settings)
        with host.lent(job, settings, sight_of(settings)) as engine:
            found = analysed(engine, picture, categories or None)
        try:
            return Analysed(found, chart_image(found, picture, dark))
        except MissingPackageError as error:
            return Analysed(found, None, sentence_for(error))


def matched(host: Host, study: Study, phrases: str, template: str, job: Job) -> Match:
    """phrases: one a line. template: with {} in the phrase's place, or empty."""
    from ..core.study.match import check_question

    asked = [line.strip() for line in phrases.splitlines() if line.strip()]
    templates = [template.strip()] if template.strip() else []
    check_question(asked, templates)
    with (
        opened(host, study.picture, job) as picture,
        host.lent(job, study.settings(host.settings()), SIGHT) as engine,
    ):
        return engine.match(picture, asked, templates)


def location(host: Host, study: Study, phrase: str, job: Job) -> Located:
    from ..core.drawing.overlay import draw_overlay

    if not phrase.strip():
        raise SettingsError("There is no phrase to look for", "type one, such as a red boat")
    with opened(host, study.picture, job) as picture:
        with host.lent(job, study.settings(host.settings()), SIGHT) as engine:
            found = engine.locate(picture, phrase.strip())
        return Located(found, draw_overlay(picture, found.heat, found.boxes))


@contextmanager
def opened(host: Host, picture: Any, job: Job) -> Iterator[Image]:
    """What a page's picture gives, held within what all together may hold. Raises ImageError, LineIsFull, Cancelled."""
    if picture is None:
        raise ImageError(NO_PICTURE)
    with host.pixels.held(job) as opening:
        yield opening(picture)
