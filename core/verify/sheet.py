"""The first pictures beside what was rendered from them, a column a way."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageOps

from ..drawing.lettering import drawable, font, wrap
from ..drawing.paper import FAINT, INK, PAPER
from .fidelity import Fidelity

CELL, GAP, MARGIN = 160, 8, 24
TEXT_SIZE, LINE_HEIGHT, HEAD_LINES = 14, 18, 3


def draw_fidelity(pictures: Sequence[Image.Image], fidelity: Fidelity) -> Image.Image:
    """A sheet; above each column its way and the judge's mean similarity."""
    columns = [("picture", "", list(pictures))]
    for name, images in fidelity.renderings.items():
        way = fidelity.ways[name]
        said = f"{way.similarity.mean:.3f} ({way.similarity.low:.3f} to {way.similarity.high:.3f})"
        columns.append((name, said, list(images)))
    rows = max(len(images) for _, _, images in columns[1:])
    head = (HEAD_LINES + 1) * LINE_HEIGHT
    width = 2 * MARGIN + len(columns) * (CELL + GAP) - GAP
    sheet = Image.new("RGB", (width, 2 * MARGIN + head + rows * (CELL + GAP) - GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, (name, said, images) in enumerate(columns):
        left = MARGIN + number * (CELL + GAP)
        lines = [(line, INK) for line in wrap(name, CELL, TEXT_SIZE, 2)]
        lines += [(line, FAINT) for line in wrap(said, CELL, TEXT_SIZE, 2) if line]
        for line_number, (line, ink) in enumerate(lines):
            pen.text((left, MARGIN + line_number * LINE_HEIGHT), drawable(line), ink, font(TEXT_SIZE))
        for row, image in enumerate(images[:rows]):
            small = image.width < CELL
            cell = ImageOps.fit(
                image.convert("RGB"),
                (CELL, CELL),
                Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS,
            )
            sheet.paste(cell, (left, MARGIN + head + row * (CELL + GAP)))
    return sheet
