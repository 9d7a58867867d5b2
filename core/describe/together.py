"""Several describers over the same pictures: one pass over those, and one turn on the device for each describer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..cures import Give
from ..errors import UndescribedError
from ..progress import Progress
from ..settings import Mode
from ..tags import Tag
from .asked import Asking
from .describer import Describer, Description
from .listed_words import as_tags

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

MOST_HELD = 2**30
"""Bytes of what all describers keep of pictures; at more, the pictures so far are described before the next is seen."""

Placing = Callable[[Describer], AbstractContextManager[None]]
"""Has a describer where it computes for as long as the context lasts."""


@dataclass(frozen=True)
class Written:
    """A text for a caption, by whom and by which seed."""

    text: str
    describer: str
    seed: int
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True)
class Words:
    """What was said of one picture. captions: in the order in which equals are preferred, of those that have words for
    it. beside: the tagger's. failure: why there are no captions, or no tags, where some were asked for. seen: what the
    captioner kept of the picture, for who lets it write on."""

    captions: tuple[Written, ...] = ()
    beside: Description | None = None
    failure: UndescribedError | None = None
    seen: Any = None

    @property
    def tags(self) -> tuple[Tag, ...]:
        """Those of the tagger, else of the first that told any."""
        told = [self.beside.tags] if self.beside is not None else [each.tags for each in self.captions]
        return next(filter(None, told), ())


def described(
    pictures: Iterable[Image],
    askings: Sequence[Asking],
    describers: Mapping[str, Describer],
    placed: Placing,
    progress: Progress,
) -> list[Words]:
    """Goes once over the pictures and holds none; what a lone describer is given it takes as they come.

    describers: by the askings' names. Raises what `Describer.describe` does."""
    if len(askings) == 1:
        (asking,) = askings
        describer = describers[asking.name]
        with placed(describer):
            return _words([(asking, describer.describe(pictures, asking.settings, progress))])
    found: list[Words] = []
    held: dict[str, list[Any]] = {name: [] for name in describers}
    size = 0
    for picture in pictures:
        for name, describer in describers.items():
            held[name].append(describer.seen(picture))
            size += _bytes_of(held[name][-1])
        del picture
        if size >= MOST_HELD:
            found += _in_turn(held, askings, describers, placed, progress)
            size = 0
    return found + _in_turn(held, askings, describers, placed, progress)


def with_words(
    words: Sequence[Words],
    mode: Mode,
    features: Tensor | None = None,
    failed: Callable[[int, UndescribedError], None] | None = None,
) -> tuple[Sequence[Words], Tensor | None]:
    """Those that the mode can make a prompt of, and their features. failed: is told of each other, by its place.
    Without one UndescribedError is raised."""
    kept: list[int] = []
    for number, each in enumerate(words):
        failure = each.failure or (_silent(each) if mode == "caption" else None)
        if failure is None:
            kept.append(number)
        elif failed is None:
            raise failure
        else:
            failed(number, failure)
    if len(kept) == len(words):
        return words, features
    return [words[number] for number in kept], None if features is None else features[kept]


def _silent(words: Words) -> UndescribedError | None:
    """What is wrong with captions all of which are empty."""
    if any(each.text for each in words.captions):
        return None
    names = " and ".join(dict.fromkeys(each.describer for each in words.captions if each.describer))
    return UndescribedError(f"{names or 'The caption'} has no words for the picture", Give("captioner"))


def _in_turn(
    held: dict[str, list[Any]],
    askings: Sequence[Asking],
    describers: Mapping[str, Describer],
    placed: Placing,
    progress: Progress,
) -> list[Words]:
    """What was held is let go of."""
    told: list[tuple[Asking, list[Description]]] = []
    for name, describer in describers.items():
        seen, held[name] = held[name], []
        if not seen:
            return []
        mine = [each for each in askings if each.name == name and (each.first or describer.draws)]
        with placed(describer):
            told += [(asking, describer.describe_seen(seen, asking.settings, progress)) for asking in mine]
    return _words(told)


def _words(told: Sequence[tuple[Asking, list[Description]]]) -> list[Words]:
    """Of what each asking gave, a picture's after the other."""
    told = [(asking, [_ordered(asking, each) for each in found]) for asking, found in told]
    return [_of_one([(asking, found[number]) for asking, found in told]) for number in range(len(told[0][1]))]


def _of_one(told: Sequence[tuple[Asking, Description]]) -> Words:
    """A picture's, of which one caption suffices where several were asked for."""
    captions = [(asking, each) for asking, each in told if asking.caption]
    beside = next((each for asking, each in told if not asking.caption), None)
    failed = [each.failure for _, each in captions if each.failure is not None]
    failure = failed[0] if failed and len(failed) == len(captions) else None
    written = tuple(_written(asking, each) for asking, each in captions if each.failure is None)
    return Words(written, beside, failure or (None if beside is None else beside.failure))


def _ordered(asking: Asking, found: Description) -> Description:
    """A tagger has chosen and ordered its tags; what else lists some when asked for them has not."""
    settings = asking.settings
    listed = settings.style == "tags" and not settings.instruction and not found.tags
    return replace(found, text=as_tags(found.text, settings.tags)) if listed else found


def _written(asking: Asking, found: Description) -> Written:
    return Written(" ".join(found.text.split()), asking.name, asking.settings.seed, found.tags)


def _bytes_of(view: Any) -> int:
    """Of a picture, an array or a tensor, or several by name."""
    if isinstance(view, Mapping):
        return sum(_bytes_of(each) for each in view.values())
    if hasattr(view, "nbytes"):
        return int(view.nbytes)
    width, height = getattr(view, "size", (0, 0))
    return width * height * 3
