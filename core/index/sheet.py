"""A contact sheet: what a search has found, side by side."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw

from ..drawing.lettering import drawable, font, wrap
from ..drawing.paper import FAINT, INK, PAPER, at_size
from ..errors import ImageError
from ..images import open_image
from .search import Found

COLUMNS, CELL, GAP, MARGIN = 5, 176, 16, 28
TITLE_SIZE, TITLE_HEIGHT, TEXT_SIZE, LINE_HEIGHT = 24, 32, 14, 18
EMPTY = (233, 236, 239)


def draw_found(title: str, found: Sequence[Found]) -> Image.Image:
    """The pictures in rows, each with its name and similarity; a grey field for one that cannot be read any more."""
    width = 2 * MARGIN + COLUMNS * (CELL + GAP) - GAP
    heading = wrap(title, width - 2 * MARGIN, TITLE_SIZE, 3)
    top = MARGIN + len(heading) * TITLE_HEIGHT + GAP
    row_height = CELL + 2 * LINE_HEIGHT + 2 * GAP
    rows = -(-len(found) // COLUMNS)
    sheet = Image.new("RGB", (width, top + rows * row_height + MARGIN - GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(heading):
        pen.text((MARGIN, MARGIN + number * TITLE_HEIGHT), drawable(line), INK, font(TITLE_SIZE))
    for number, each in enumerate(found):
        row, column = divmod(number, COLUMNS)
        left, upper = MARGIN + column * (CELL + GAP), top + row * row_height
        cell = _fitted(each)
        sheet.paste(cell, (left + (CELL - cell.width) // 2, upper + CELL - cell.height))
        said = ((wrap(each.path.name, CELL, TEXT_SIZE, 1)[0], INK), (_measure(each), FAINT))
        for line_number, (line, ink) in enumerate(said):
            place = (left, upper + CELL + GAP // 2 + line_number * LINE_HEIGHT)
            pen.text(place, drawable(line), ink, font(TEXT_SIZE))
    return sheet


def _measure(found: Found) -> str:
    value = found.confidence if found.similarity is None else found.similarity
    return "" if value is None else f"{value:.3f}"


def _fitted(found: Found) -> Image.Image:
    try:
        return at_size(open_image(found.path), CELL)
    except ImageError:
        return Image.new("RGB", (CELL, CELL), EMPTY)
