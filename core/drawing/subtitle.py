"""A line of text below a picture, in a band that is as high whatever it says: frames of a film are of one size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from .lettering import drawable, font, text_length, wrap
from .paper import INK, PAPER, at_size

_LEAST_WIDTH = 256
_MOST_LINES = 6
_MARGIN = 10


@dataclass(frozen=True)
class Band:
    """width: of the frames in pixels, at which a picture is shown; a small one grows until letters can be read.
    lines: of text that there is room for."""

    width: int
    size: int
    lines: int

    @classmethod
    def under(cls, picture: tuple[int, int], texts: Iterable[str]) -> Band:
        """For pictures of this (width, height) and all that is to stand below one of them."""
        width = picture[0] if picture[0] >= _LEAST_WIDTH else picture[0] * -(-_LEAST_WIDTH // picture[0])
        size = max(14, width // 32)
        most = max((len(wrap(text, width - 2 * _MARGIN, size, _MOST_LINES)) for text in texts if text), default=0)
        return cls(width, size, most)

    @property
    def height(self) -> int:
        """Even, as films want it; 0 where nothing is ever said."""
        return (self.lines * self._line + 2 * _MARGIN + 1) // 2 * 2 if self.lines else 0

    @property
    def _line(self) -> int:
        return self.size * 5 // 4

    def below(self, picture: Image.Image, texts: Sequence[tuple[str, float]]) -> Image.Image:
        """The picture with texts below it, each with how visible it is, 0 to 1: one may fade into another."""
        shown = at_size(picture, round(self.width * max(picture.size) / picture.width))
        frame = Image.new("RGB", (shown.width, shown.height + self.height), PAPER)
        frame.paste(shown)
        pen = ImageDraw.Draw(frame)
        for text, visible in texts:
            if not text or visible <= 0:
                continue
            ink = tuple(round(paper + visible * (dark - paper)) for paper, dark in zip(PAPER, INK, strict=True))
            for number, line in enumerate(wrap(text, self.width - 2 * _MARGIN, self.size, self.lines)):
                left = (frame.width - text_length(line, self.size)) / 2
                place = (left, shown.height + _MARGIN + number * self._line)
                pen.text(place, drawable(line), ink, font(self.size))
        return frame
