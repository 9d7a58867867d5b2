"""Tags that were not told by a tagger, but written as words: the same is done with them, so far as words allow."""

from __future__ import annotations

from ..settings import TagSettings
from ..tags import Tag
from ..targets import ordered
from .tagging.words import written

_SEPARATOR = ", "


def as_tags(text: str, settings: TagSettings) -> str:
    """What is listed between commas, with blanks for underscores unless settings keep those, without what they exclude,
    at most as many as they allow, and in the order of their target. Without any of that it is the text as it is."""
    if not settings.underscores and "_" in text:
        text = ",".join(_spaced(part) for part in text.split(","))
    if settings.order != "target" and not settings.exclude and settings.most is None:
        return text
    excluded = {_plain(tag) for tag in settings.exclude}
    words = [word for part in text.split(",") if (word := part.strip(" .\n")) and _plain(word) not in excluded]
    words = words[: settings.most]
    if settings.order != "target":
        return _SEPARATOR.join(words)
    return _SEPARATOR.join(ordered([Tag(word, 1.0) for word in words], settings.target, lambda word: word))


def _spaced(part: str) -> str:
    tag = part.strip(" .\n")
    return part.replace(tag, written(tag, TagSettings())) if "_" in tag else part


def _plain(tag: str) -> str:
    return " ".join(tag.replace("_", " ").casefold().split())
