"""What a request to the API asks for, as the engine's settings: the program's own where it says nothing, and by name
only what is known, since any other name could be that of a folder on this machine, or of a server elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.choices import NONE, VOCABULARIES
from ..core.cures import Choose, Control, Give, Take
from ..core.describe.endpoint.address import claims
from ..core.errors import ModelError, PhraseError, SettingsError
from ..core.printable import quoted
from ..core.settings import TAG_NAMES, CaptionSettings, Mode, Settings
from ..core.targets import target_named
from .choices import captioners, vocabulary_folders
from .servers import is_named
from .suited import Chosen, chosen_for

if TYPE_CHECKING:
    from .api_models import DescribeRequest, InterrogateRequest, TagChoice, TagRequest, Writing

_WRITING = ("style", "instruction", "system", "max_length", "temperature", "top_p", "seed", "repetition", "trim")
MOST_RIVALS = 8


def interrogation_asked(usual: Settings, asked: InterrogateRequest) -> Chosen:
    """Raises ModelError, PhraseError, SettingsError."""
    known = named(usual, asked.clip, None, asked.vocabulary)
    captioner = _describer(asked.captioner, usual, "captioner")
    tagger = _describer(asked.tagger, usual, "tagger")
    captioned = asked.caption is not None
    found = _chosen(known, asked.target, asked.mode, captioner, tagger, asked.clip, captioned, _asks(asked))
    settings = found.settings
    return found._replace(
        settings=replace(
            settings,
            limits={**settings.limits, **asked.limits},
            exclude=(*settings.exclude, *asked.exclude),
            pinned=(*settings.pinned, *asked.pinned),
            search=asked.search or settings.search,
            rivals=settings.rivals if asked.rivals is None else _rivals(asked.rivals, usual),
            candidates=asked.candidates or settings.candidates,
            captioning=_tagging(_writing(settings.captioning, asked), asked),
        )
    )


def tags_asked(usual: Settings, asked: TagRequest) -> Settings:
    """Raises ModelError, SettingsError."""
    tagger = _describer(asked.tagger, usual, "tagger")
    settings = _chosen(usual, asked.target, "tags", tagger=tagger).settings
    return replace(settings, captioning=_tagging(settings.captioning, asked))


def description_asked(usual: Settings, asked: DescribeRequest) -> Settings:
    """Raises ModelError, SettingsError."""
    captioner = _describer(asked.captioner, usual, "captioner")
    settings = _chosen(usual, asked.target, "caption", captioner, asked=_asks(asked)).settings
    if settings.captioner is None:
        raise SettingsError("There is no captioner to describe the picture", Give("captioner", "one"))
    return replace(settings, captioning=_tagging(_writing(settings.captioning, asked), asked))


def tagger_for(usual: Settings, tagger: str | None) -> str | None:
    """That tells the tags of an analysis, if any. Raises ModelError."""
    chosen = _describer(tagger, usual, "tagger")
    return usual.tagger if chosen is None else None if chosen == NONE else chosen


def named(
    usual: Settings, clip: str | None = None, captioner: str | None = None, vocabulary: str | None = None
) -> Settings:
    """The program's, with the models and vocabulary that a request names. Raises ModelError, PhraseError."""
    found: dict[str, Any] = {}
    if clip is not None:
        found["clip"] = _known_clip(clip, usual.clip)
    if vocabulary is not None:
        known = {**VOCABULARIES, **vocabulary_folders(cache_folder(usual))}
        if vocabulary not in known:
            raise PhraseError(f"There is no vocabulary {quoted(vocabulary)}", Choose("phrases", tuple(known)))
        found["phrases"] = known[vocabulary]
    if captioner is not None:
        found["captioner"] = _describer(captioner, usual, "captioner")
    return replace(usual, **found)


def cache_folder(settings: Settings) -> Path:
    from ..core.hub import Hub

    return Path(Hub(settings.cache).folder)


def _writing(usual: CaptionSettings, asked: Writing) -> CaptionSettings:
    return replace(usual, **{name: value for name in _WRITING if (value := getattr(asked, name)) is not None})


def _tagging(usual: CaptionSettings, asked: TagChoice) -> CaptionSettings:
    given = {name: value for field, name in TAG_NAMES.items() if (value := getattr(asked, field)) is not None}
    exclude = (*usual.tags.exclude, *(asked.exclude_tags or ()))
    return replace(usual, tags=replace(usual.tags, exclude=exclude, **given))


def _chosen(
    usual: Settings,
    target: str | None,
    mode: Mode | None,
    captioner: str | None = None,
    tagger: str | None = None,
    clip: str | None = None,
    captioned: bool = False,
    asked: bool = False,
) -> Chosen:
    """captioner, tagger: None for what is usual, or suits the target; "none" for none. Raises ModelError."""
    if target is None:
        given = {"captioner": captioner, "tagger": tagger}
        return Chosen(mode or "best", replace(usual, **{name: each for name, each in given.items() if each}))
    found = chosen_for(target_named(target), usual, mode, captioner, tagger, clip, captioned, asked)
    found.check()
    return found


def _asks(asked: Writing) -> bool:
    return bool(asked.instruction) or asked.style not in (None, "tags")


def _describer(name: str | None, usual: Settings, control: Control) -> str | None:
    """The name, if it is one of the known ones, or of those that the program was started with. Raises ModelError."""
    if name is None or name in (usual.captioner, usual.tagger, *usual.rivals):
        return name
    if claims(name) and is_named(name, usual):
        return name
    if name not in captioners():
        raise ModelError(f"There is no {control} {quoted(name)}", Choose(control, tuple(captioners())))
    return name


def _rivals(names: Sequence[str], usual: Settings) -> tuple[str, ...]:
    if len(names) > MOST_RIVALS:
        raise SettingsError(f"are {len(names):,}", Give("rivals", f"{MOST_RIVALS} at most"), control="rivals")
    return tuple(name for each in names if (name := _describer(each, usual, "rivals")) not in (None, NONE))


def _known_clip(name: str, usual: str) -> str:
    from ..core.clip.names import find_known

    if name in (usual, "micro"):
        return name
    known = find_known(name)
    if known is None:
        raise ModelError(f"There is no CLIP {quoted(name)}", Take("list models"))
    return known.name
