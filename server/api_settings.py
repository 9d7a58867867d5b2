"""What a request to the API asks for, as the engine's settings: the program's own where it says nothing, and by name
only what is known, since any other name could be that of a folder on this machine, or of a server elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.choices import NONE, VOCABULARIES
from ..core.cures import Choose, Control, Give, Take
from ..core.errors import ModelError, PhraseError, SettingsError
from ..core.settings import CaptionSettings, Mode, Settings
from ..core.targets import target_named
from .choices import captioners, vocabulary_folders

if TYPE_CHECKING:
    from .api_models import DescribeRequest, InterrogateRequest, Tagging, TagRequest, Writing

_WRITING = ("style", "instruction", "system", "max_length", "temperature", "top_p", "seed", "repetition", "trim")
_TAGGING = {
    "general_threshold": "general",
    "character_threshold": "character",
    "automatic_threshold": "automatic",
    "most_tags": "most",
    "rating": "rating",
    "tag_order": "order",
    "underscores": "underscores",
    "implied": "implied",
}
"""The fields of `TagSettings`, by a request's."""


def interrogation_asked(usual: Settings, asked: InterrogateRequest) -> tuple[Mode, Settings]:
    """Raises ModelError, PhraseError, SettingsError."""
    target = None if asked.target is None else target_named(asked.target)
    suited = usual if target is None else target.over(usual)
    settings = named(suited, asked.clip, asked.captioner, asked.vocabulary)
    mode = asked.mode or ("best" if target is None else target.mode)
    return mode, replace(
        settings,
        limits={**settings.limits, **asked.limits},
        exclude=(*settings.exclude, *asked.exclude),
        tagger=_describer(asked.tagger, settings.tagger, "tagger"),
        rivals=settings.rivals if asked.rivals is None else _rivals(asked.rivals, settings.rivals),
        candidates=asked.candidates or settings.candidates,
        captioning=_tagging(_writing(settings.captioning, asked), asked),
    )


def tags_asked(usual: Settings, asked: TagRequest) -> Settings:
    """Raises ModelError, SettingsError."""
    settings = usual if asked.target is None else target_named(asked.target).over(usual)
    tagger = _describer(asked.tagger, settings.tagger, "tagger")
    return replace(settings, tagger=tagger, captioning=_tagging(settings.captioning, asked))


def description_asked(usual: Settings, asked: DescribeRequest) -> Settings:
    """Raises ModelError, SettingsError."""
    captioner = _describer(asked.captioner, usual.captioner, "captioner")
    if captioner is None:
        raise SettingsError("There is no captioner to describe the picture", Give("captioner", "one"))
    return replace(usual, captioner=captioner, captioning=_writing(usual.captioning, asked))


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
            raise PhraseError(f"There is no vocabulary {vocabulary!r}", Choose("phrases", tuple(known)))
        found["phrases"] = known[vocabulary]
    return replace(usual, captioner=_describer(captioner, usual.captioner, "captioner"), **found)


def cache_folder(settings: Settings) -> Path:
    from ..core.hub import Hub

    return Path(Hub(settings.cache).folder)


def _writing(usual: CaptionSettings, asked: Writing) -> CaptionSettings:
    return replace(usual, **{name: value for name in _WRITING if (value := getattr(asked, name)) is not None})


def _tagging(usual: CaptionSettings, asked: Tagging) -> CaptionSettings:
    given = {name: value for field, name in _TAGGING.items() if (value := getattr(asked, field)) is not None}
    exclude = (*usual.tags.exclude, *(asked.exclude_tags or ()))
    return replace(usual, tags=replace(usual.tags, exclude=exclude, **given))


def _describer(name: str | None, usual: str | None, control: Control, others: Sequence[str] = ()) -> str | None:
    if name is None or name == usual or name in others:
        return usual if name is None else name
    if name not in captioners():
        raise ModelError(f"There is no {control} {name!r}", Choose(control, tuple(captioners())))
    return None if name == NONE else name


def _rivals(names: Sequence[str], usual: Sequence[str]) -> tuple[str, ...]:
    return tuple(filter(None, (_describer(name, None, "rivals", usual) for name in names)))


def _known_clip(name: str, usual: str) -> str:
    from ..core.clip.names import find_known

    if name in (usual, "micro"):
        return name
    known = find_known(name)
    if known is None:
        raise ModelError(f"There is no CLIP {name!r}", Take("list models"))
    return known.name
