"""From prompt to prompt: where each frame of a film stands between two embeddings."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from ..embed import PromptEmbedding
from ..embed.composing import mixed
from ..errors import SettingsError

Ease = Literal["smooth", "linear"]
EASES: tuple[Ease, ...] = get_args(Ease)
_MOST_FRAMES = 1_000_000


class Place(NamedTuple):
    """A frame's: the line that it leaves, and how much of the way to the next one it has gone, 0 to below 1."""

    line: int
    share: float


@dataclass(frozen=True)
class Walk:
    """lines: how many there are. frames: of each way from one line to the next, the first being the line's own.
    ease: "smooth" rests at the lines and is fastest half way; "linear" is as fast everywhere.
    Raises SettingsError."""

    lines: int
    frames: int = 24
    ease: Ease = "smooth"

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise SettingsError(f"The frames from line to line are {self.frames}", "give 1 or more")
        if self.ease not in EASES:
            raise SettingsError(f"There is no ease {self.ease!r}", f"choose {' or '.join(EASES)}")
        if len(self) > _MOST_FRAMES:
            raise SettingsError(f"The film has {len(self):,} frames", "give fewer frames from line to line")

    def __len__(self) -> int:
        return (self.lines - 1) * self.frames + 1

    def places(self) -> Iterator[Place]:
        """Of all frames; the last line has one."""
        return map(self.place, range(len(self)))

    def place(self, frame: int) -> Place:
        line, step = divmod(frame, self.frames)
        share = step / self.frames
        return Place(line, (1 - math.cos(math.pi * share)) / 2 if self.ease == "smooth" else share)

    def own(self, line: int) -> int:
        """The frame that shows nothing but the line."""
        return line * self.frames


def between(embeddings: Sequence[PromptEmbedding], place: Place) -> PromptEmbedding:
    """The embedding of a frame: the spherical mean of its two lines', position by position (Shoemake's slerp, 1985).

    Raises SettingsError where two are opposites, EmbeddingError where they do not fit together."""
    if not place.share:
        return embeddings[place.line]
    pair = embeddings[place.line : place.line + 2]
    return mixed(pair, [1 - place.share, place.share], "spherical")
