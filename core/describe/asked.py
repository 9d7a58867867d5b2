"""Who is asked to describe a picture, by settings and mode, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..cures import Give
from ..errors import SettingsError
from ..micro.toy import MICRO
from ..published import MICRO_TAGGER, USUAL_TAGGER
from ..settings import NO_CLIP, UNCAPTIONED, CaptionSettings, Mode, Settings
from .kinds import kind_of
from .tagging.tagger import TAGGER as TAGGER

DRAWN_AT = 0.7
"""The temperature of several candidates where none was chosen: at zero all would be one."""


@dataclass(frozen=True)
class Asking:
    """One describer, to be asked once. caption: whether for a caption; else for the tags beside it.
    first: whether it is the first time: one that does not draw is not asked again."""

    name: str
    settings: CaptionSettings
    caption: bool = True
    first: bool = True


def askings(settings: Settings, mode: Mode, captioned: bool = False) -> tuple[Asking, ...]:
    """In the order in which equals are preferred, the captioner's before its rivals'. captioned: whether the captions
    are there."""
    captions = () if captioned or mode in UNCAPTIONED else _captioners(settings)
    asked = [asking for name in captions for asking in _seeds(name, settings)]
    if (tagger := tagger_of(settings, mode)) is not None:
        # what is no tagger by its kind is asked for tags all the same
        asked.append(Asking(tagger, replace(settings.captioning, style="tags", instruction=""), caption=False))
    return tuple(asked)


def names_asked(settings: Settings, mode: Mode, captioned: bool = False) -> tuple[str, ...]:
    """Of the describers that are to be loaded, each once."""
    return tuple(dict.fromkeys(asking.name for asking in askings(settings, mode, captioned)))


def tagger_of(settings: Settings, mode: Mode) -> str | None:
    """Whose tags are the prompt or follow the caption; None for nobody's."""
    if mode == "negative":
        return None
    if mode != "tags" or settings.tagger is not None:
        return settings.tagger
    if settings.captioner is not None and kind_of(settings.captioner).name == TAGGER:
        return settings.captioner
    return MICRO_TAGGER if settings.clip == MICRO else USUAL_TAGGER


def tells_tags(settings: Settings, mode: Mode) -> bool:
    """Whether a tagger is asked, if only for a caption."""
    if tagger_of(settings, mode) is not None:
        return True
    return mode not in UNCAPTIONED and any(kind_of(name).name == TAGGER for name in _captioners(settings))


def check_tells_tags(settings: Settings) -> None:
    """Raises SettingsError where what the settings name as tagger writes texts and tells no tags, ModelError where it
    is nothing."""
    if settings.tagger is None:
        return
    kind = kind_of(settings.tagger)
    if kind.name != TAGGER:
        kind.check(settings.tagger)
        problem = f"is {settings.tagger}, which writes texts and tells no confidences of tags"
        raise SettingsError(problem, Give("tagger", "a tagger"), control="tagger")


def asks_clip(settings: Settings, mode: Mode) -> bool:
    """Whether the CLIP takes part."""
    return mode != "tags" and settings.clip != NO_CLIP


def compete(settings: Settings) -> bool:
    """Whether captions are written among which one is to be chosen."""
    return settings.candidates > 1 or len(_captioners(settings)) > 1


def _captioners(settings: Settings) -> tuple[str, ...]:
    named = (settings.captioner, *settings.rivals)
    return tuple(dict.fromkeys(name for name in named if name is not None))


def _seeds(name: str, settings: Settings) -> Iterator[Asking]:
    asked = settings.captioning
    if settings.candidates > 1 and not asked.temperature:
        asked = replace(asked, temperature=DRAWN_AT)
    for number in range(settings.candidates):
        yield Asking(name, replace(asked, seed=asked.seed + number), first=not number)
