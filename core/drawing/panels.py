"""Pictures side by side with a line below each: steps of one thing, as a strip or a sheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

from .lettering import drawable, font, wrap
from .paper import FAINT, INK, PAPER, at_size

SIDE, COLUMNS = 192, 5
_MARGIN, _GAP = 24, 16
_TITLE_SIZE, _LABEL_SIZE = 20, 14
_TITLE_HEIGHT, _LABEL_HEIGHT = 28, 19
_MOST_LINES = 3


class Panel(NamedTuple):
    picture: Image.Image
    label: str


def draw_panels(panels: Sequence[Panel], title: str = "", columns: int = COLUMNS) -> Image.Image:
    """The pictures in rows of so many, their longer sides `SIDE` pixels long, under a title; labels of several lines
    are cut after three."""
    columns = min(columns, len(panels))
    width = 2 * _MARGIN + columns * SIDE + (columns - 1) * _GAP
    heading = wrap(title, width - 2 * _MARGIN, _TITLE_SIZE, _MOST_LINES) if title else []
    pictures = [at_size(panel.picture, SIDE) for panel in panels]
    labels = [wrap(panel.label, SIDE, _LABEL_SIZE, _MOST_LINES) for panel in panels]
    rows = [range(first, min(first + columns, len(panels))) for first in range(0, len(panels), columns)]
    talls = [max(pictures[each].height for each in row) for row in rows]
    lines = [max(len(labels[each]) for each in row) for row in rows]
    heights = [tall + 6 + count * _LABEL_HEIGHT + _GAP for tall, count in zip(talls, lines, strict=True)]
    top = _MARGIN + len(heading) * _TITLE_HEIGHT + (_GAP // 2 if heading else 0)
    sheet = Image.new("RGB", (width, top + sum(heights) + _MARGIN - _GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(heading):
        pen.text((_MARGIN, _MARGIN + number * _TITLE_HEIGHT), drawable(line), INK, font(_TITLE_SIZE))
    for row, tall, height in zip(rows, talls, heights, strict=True):
        for column, each in enumerate(row):
            left = _MARGIN + column * (SIDE + _GAP)
            picture = pictures[each]
            sheet.paste(picture, (left + (SIDE - picture.width) // 2, top + (tall - picture.height) // 2))
            for number, line in enumerate(labels[each]):
                place = (left, top + tall + 6 + number * _LABEL_HEIGHT)
                pen.text(place, drawable(line), FAINT, font(_LABEL_SIZE))
        top += height
    return sheet
