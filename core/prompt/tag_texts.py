"""Tags as a prompt, and behind a caption."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace

from ..cures import Give
from ..cutting import cut
from ..describe import Description
from ..describe.asked import tagger_of
from ..describe.together import Words
from ..errors import SettingsError
from ..results import Interrogation
from ..settings import Settings
from ..tags import Tag
from .framing import framed

_SEPARATOR = ", "
_START_AND_END = 2
MOST_OF_A_CAPTION = 512
"""Tokens where no limit was chosen and nothing is added: as many as any image model reads."""
_PIECES = re.compile(r"[^\W\d_]+|\d|[^\s\w]+|_")
_IN_ONE = 5
_IN_EACH_FURTHER = 3


def tagged(words: Words, settings: Settings, seconds: float) -> Interrogation:
    """The tags as a prompt. No CLIP is asked: a similarity there is none."""
    found = words.beside
    assert found is not None, "mode tags has a tagger"
    prompt = framed(fitting(found.text, settings), settings)
    describer = str(tagger_of(settings, "tags"))
    return Interrogation(prompt, None, "tags", "", (), describer, seconds, tags=found.tags)


def captioned(words: Words, settings: Settings, seconds: float) -> Interrogation:
    """The caption, with tags beside it, as it was written: no CLIP is asked here either."""
    written = words.captions[0]
    start = beside(written.text, "" if words.beside is None else words.beside.text)
    limit = settings.token_limit or MOST_OF_A_CAPTION
    prompt = framed(cut(start, lambda part: tokens(framed(part, settings)), limit), settings)
    return Interrogation(prompt, None, "caption", written.text, (), written.describer, seconds, tags=words.tags)


def fitting(text: str, settings: Settings) -> str:
    """As many of the tags as the token limit lets in with what is put around them, each whole. Raises SettingsError
    where there is no room for one."""
    tags, limit = text.split(_SEPARATOR), settings.token_limit
    if limit is None or not text:
        return text
    kept: list[str] = []
    for tag in tags:
        if tokens(framed(_SEPARATOR.join([*kept, tag]), settings)) > limit:
            break
        kept.append(tag)
    if not kept:
        raise SettingsError("The prompt's length has no room for a tag", Give("token_limit", "more"))
    return _SEPARATOR.join(kept)


def tokens(text: str) -> int:
    """About as many as CLIP's tokenizer makes of a list of tags, start and end included, rather more than fewer: no
    model, and so no vocabulary, need be there for tags."""
    return _START_AND_END + sum(_tokens_of(piece) for piece in _PIECES.findall(text))


def _tokens_of(piece: str) -> int:
    return 1 + max(0, math.ceil((len(piece) - _IN_ONE) / _IN_EACH_FURTHER)) if piece.isascii() else 2 * len(piece)


def beside(caption: str, tags: str) -> str:
    """A caption, and the tags behind it that it does not hold already."""
    held = set(caption.split(_SEPARATOR))
    new = [tag for tag in tags.split(_SEPARATOR) if tag and tag not in held]
    return _SEPARATOR.join(filter(None, (caption.rstrip(" .,") if new else caption, *new)))


def shared_words(words: Sequence[Words]) -> Words:
    """Those of several pictures as one's. Raises SettingsError where they share no tag."""
    if len(words) == 1:
        return words[0]
    found = shared([each.beside for each in words if each.beside is not None])
    if found is not None and not found.text:
        raise SettingsError("These pictures have no tag in common", "leave one of them out")
    return Words(beside=found)


def shared(found: Sequence[Description]) -> Description | None:
    """The tags that all pictures have, as the first one's text orders them, with their mean confidences."""
    if len(found) < 2:
        return found[0] if found else None
    others = [set(each.text.split(_SEPARATOR)) for each in found[1:]]
    text = _SEPARATOR.join(tag for tag in found[0].text.split(_SEPARATOR) if all(tag in some for some in others))
    named = [{tag.name: tag for tag in each.tags} for each in found]
    return Description(
        text, tuple(_mean(tag, named) for tag in found[0].tags if all(tag.name in some for some in named))
    )


def _mean(tag: Tag, named: Sequence[dict[str, Tag]]) -> Tag:
    return replace(tag, confidence=sum(some[tag.name].confidence for some in named) / len(named))
