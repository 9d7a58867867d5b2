"""A small picture world: what can be in a picture, and which combinations are kept for training and for testing.

Made for tests and demonstrations. A scene is one value for each of six factors; `drawing.draw` turns it into a
picture, `captions.caption` into words. Whole combinations of shape, colour, background and style are held out, so
that a model which only remembers its training pictures fails on the others.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Literal

Split = Literal["train", "validation", "test"]

NO_ARTIST = "none"
FACTORS: dict[str, tuple[str, ...]] = {
    "shape": ("circle", "square", "triangle", "star", "heart", "cross", "ring", "moon"),
    "colour": ("red", "orange", "yellow", "green", "blue", "purple", "pink"),
    "layout": ("small", "large", "two", "three"),
    "background": ("meadow", "night", "sea", "desert", "paper", "brick", "sunset"),
    "style": ("flat", "line", "pencil", "watercolor", "pixel", "mosaic", "oil"),
    "artist": (NO_ARTIST, "mira", "odo", "pim", "una"),
}

_SPLIT_PARTS = 8  # one part for validation, one for test, the rest for training


@dataclass(frozen=True)
class Scene:
    """What a picture shows. Every value is one of `FACTORS[name]`."""

    shape: str
    colour: str
    layout: str
    background: str
    style: str
    artist: str

    def value(self, factor: str) -> str:
        return getattr(self, factor)

    def with_value(self, factor: str, value: str) -> Scene:
        return replace(self, **{factor: value})

    @property
    def indices(self) -> tuple[int, ...]:
        """The position of each value in its factor's list, in the order of `FACTORS`."""
        return tuple(FACTORS[name].index(value) for name, value in asdict(self).items())

    @property
    def split(self) -> Split:
        """The set this scene's combination belongs to; fixed for all time by a hash."""
        key = "|".join((self.shape, self.colour, self.background, self.style))
        part = hashlib.md5(key.encode(), usedforsecurity=False).digest()[0] % _SPLIT_PARTS
        return "test" if part == 0 else "validation" if part == 1 else "train"

    def neighbours(self) -> Iterator[Scene]:
        """All scenes that differ from this one in exactly one factor."""
        for factor, values in FACTORS.items():
            for value in values:
                if value != self.value(factor):
                    yield self.with_value(factor, value)


def random_scene(rng: random.Random, split: Split | None = None) -> Scene:
    """A scene of `split`, or of any, every factor drawn evenly."""
    while True:
        scene = Scene(**{factor: rng.choice(values) for factor, values in FACTORS.items()})
        if split in (None, scene.split):
            return scene
