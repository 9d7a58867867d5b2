"""Which of a tagger's tags are said of a picture: those that reach a threshold, less what others say already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...settings import USUAL_THRESHOLDS, TagSettings
from ...tags import Tag, TagCategory
from .parents import without_parents
from .tag_list import ListedTag

_NAMES: frozenset[TagCategory] = frozenset({"character", "copyright", "artist"})
"""Who and what a picture is of or by: told with the characters' threshold. A wrong one spoils a prompt."""

_LEAST_OF_NAMES = 0.15
_DIGITS = 4


@dataclass(frozen=True)
class Thresholds:
    """What a tagger's publisher says, of general tags and of names; tags with thresholds of their own have those."""

    general: float = USUAL_THRESHOLDS[0]
    character: float = USUAL_THRESHOLDS[1]


def rounded(confidences: np.ndarray) -> np.ndarray:
    """[..., tags], to as many digits as decide: pictures computed together differ in later ones from the same alone."""
    return np.round(confidences.astype(np.float64), _DIGITS)


def chosen(
    listed: Sequence[ListedTag], confidences: np.ndarray, settings: TagSettings, usual: Thresholds
) -> tuple[Tag, ...]:
    """Without ratings, the surest first; ties as the list has them. confidences: [tags] in 0..1, `rounded`.

    The most general tags that settings allow are taken after those that others imply have been dropped."""
    least = np.array(_least(listed, confidences, settings, usual))
    found = [
        Tag(tag.name, value, tag.category)
        for tag, value, reached in zip(listed, confidences.tolist(), confidences >= least, strict=True)
        if reached and tag.category != "rating"
    ]
    excluded = {plain(name) for name in settings.exclude}
    found = [tag for tag in found if plain(tag.name) not in excluded]
    if not settings.implied:
        found = without_parents(found)
    found.sort(key=lambda tag: -tag.confidence)  # stable
    return tuple(_at_most(found, settings.most))


def ratings(listed: Sequence[ListedTag], confidences: np.ndarray) -> tuple[Tag, ...]:
    """All of them, the likeliest first."""
    found = [
        Tag(tag.name, float(value), tag.category)
        for tag, value in zip(listed, confidences, strict=True)
        if tag.category == "rating"
    ]
    return tuple(sorted(found, key=lambda tag: -tag.confidence))


def plain(name: str) -> str:
    """As names are compared: blanks for underscores, no letter case, no protection from a prompt's parser."""
    return " ".join(name.replace("_", " ").replace("\\", "").casefold().split())


def cut(confidences: Iterable[float]) -> float:
    """Maximum Cut Thresholding (Largeron, Moulin, Géry 2012): the middle of the largest gap between two that follow
    each other; of equal gaps the upper one. Above all where there are fewer than two."""
    falling = np.sort(np.fromiter(confidences, np.float64))[::-1]
    if len(falling) < 2:
        return 1.0
    place = int(np.argmax(falling[:-1] - falling[1:]))
    return float(falling[place] + falling[place + 1]) / 2


def _least(
    listed: Sequence[ListedTag], confidences: np.ndarray, settings: TagSettings, usual: Thresholds
) -> list[float]:
    """What each tag has to reach."""
    if settings.automatic:
        cuts = _cuts(listed, confidences)
        return [cuts[tag.category] for tag in listed]
    least: list[float] = []
    for tag in listed:
        named = tag.category in _NAMES
        given = settings.character if named else settings.general
        published = (usual.character if named else usual.general) if tag.threshold is None else tag.threshold
        least.append(published if given is None else given)
    return least


def _cuts(listed: Sequence[ListedTag], confidences: np.ndarray) -> Mapping[TagCategory, float]:
    values: dict[TagCategory, list[float]] = {}
    for tag, value in zip(listed, confidences, strict=True):
        values.setdefault(tag.category, []).append(float(value))
    return {
        category: max(cut(found), _LEAST_OF_NAMES if category in _NAMES else 0.0) for category, found in values.items()
    }


def _at_most(tags: Iterable[Tag], most: int | None) -> Iterable[Tag]:
    taken = 0
    for tag in tags:
        taken += tag.category == "general"
        if most is None or tag.category != "general" or taken <= most:
            yield tag
