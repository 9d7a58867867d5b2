"""What every way to describe a picture has in common, be it a model that writes, one that tags, or a server."""

from __future__ import annotations

import itertools
import math
from abc import ABC
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import UndescribedError
from ..progress import SILENT, Progress
from ..settings import CaptionSettings
from ..tags import Tag

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    from .next_words import NextWords


@dataclass(frozen=True)
class Description:
    """text: one line, as it goes into a prompt, unescaped. tags: what it was made of, where it was made of tags, and
    the ratings, whether or not one is part of the text. failure: why this picture has none, where others may."""

    text: str
    tags: tuple[Tag, ...] = ()
    failure: UndescribedError | None = None


def checked(found: Sequence[Description]) -> list[Description]:
    """For who can do nothing with some alone. Raises UndescribedError for the first that failed."""
    for each in found:
        if each.failure is not None:
            raise each.failure
    return list(found)


_MOST_HELD = 8_400_000
"""Pixels of a picture that waits to be described."""


def reduced(image: Image) -> Image:
    """The picture, or one that a processor will make much smaller all the same, in as little memory as that needs."""
    factor = math.ceil(math.sqrt(image.width * image.height / _MOST_HELD))
    return image.reduce((min(factor, image.width), min(factor, image.height))) if factor > 1 else image


class Describer(ABC):
    """Loaded, or ready to be asked. The same pictures and settings give the same words.

    A kind writes `describe`, or else `seen` and `describe_seen`, by which several describers share one pass over
    pictures that are not held.

    at_once: pictures described together, at most. draws: whether it can write several texts of a picture, by seed.
    """

    name: str
    at_once: int = 16
    draws: bool = True

    def describe(
        self, images: Iterable[Image], settings: CaptionSettings | None = None, progress: Progress = SILENT
    ) -> list[Description]:
        """One for each RGB picture, which may hold why there is none (see `checked`). An iterator's pictures are taken
        one by one, and none is held longer than needed.

        Raises SettingsError (a setting that does not fit), ModelError (memory runs out, a server fails), Cancelled."""
        found: list[Description] = []
        rest = map(self.seen, images)  # one by one, so that an iterator's are not held
        while some := list(itertools.islice(rest, self.at_once)):
            progress.check()
            found += self.describe_seen(some, settings, progress)
            del some
        return found

    def seen(self, image: Image) -> Any:
        """What is kept of an RGB picture until it is described, no more than is needed; needs no device."""
        return reduced(image)

    def describe_seen(
        self, seen: Sequence[Any], settings: CaptionSettings | None = None, progress: Progress = SILENT
    ) -> list[Description]:
        """As `describe`, of what `seen` kept of pictures, which may be asked for again."""
        return self.describe(iter(seen), settings, progress)

    def caption(
        self, images: Iterable[Image], settings: CaptionSettings | None = None, progress: Progress = SILENT
    ) -> list[str]:
        """The texts alone of `describe`. Raises UndescribedError, too, where a picture has none."""
        return [found.text for found in checked(self.describe(images, settings, progress))]

    def next_words(self, seen: Any, settings: CaptionSettings | None = None) -> NextWords | None:
        """What it would write, word by word, of what `seen` kept of a picture, with the settings' instruction, style
        and length; None for what has no language model of its own. Raises as `describe`."""
        return None

    @property
    def nbytes(self) -> int:
        """Of the weights in memory; 0 for what runs elsewhere."""
        return 0

    @property
    def module(self) -> torch.nn.Module | None:
        """All the weights, for hosts that move them; `to` has to be told where they went. None for what has none."""
        return None

    def to(self, device: str | torch.device) -> Describer:
        """Moves the weights, to the CPU to make room on a GPU, say. Returns itself. Raises ModelError where they do not
        fit, and they are in main memory then."""
        return self
