"""Heat maps as pictures: laid over what they were read from, alone or several side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from .lettering import drawable, font, wrap

if TYPE_CHECKING:
    from ..study.explain import Box, HeatMap

PANEL = 280
COLUMNS = 4
MARGIN, GAP = 20, 16
TEXT_SIZE, LINE_HEIGHT, MOST_LINES = 15, 20, 4

_HEAT = ((0, (60, 0, 110)), (0.35, (185, 25, 110)), (0.65, (245, 105, 30)), (1, (255, 225, 60)))
"""Support as a share of the greatest, and its colour: darker is less, for eyes that see no colours too."""

_FADED, _STRONGEST = 0.45, 0.8


class Palette(NamedTuple):
    paper: tuple[int, int, int]
    ink: tuple[int, int, int]
    faint: tuple[int, int, int]


LIGHT = Palette((255, 255, 255), (33, 37, 41), (90, 98, 104))
DARK = Palette((24, 26, 29), (235, 237, 239), (165, 172, 178))


def draw_overlay(
    image: Image.Image, heat: HeatMap, boxes: Sequence[Box] = (), longest: int = 1024, full: float | None = None
) -> Image.Image:
    """The picture, faded, with the phrase's support in colour over it and boxes around the parts they name.

    image: the RGB picture the map was made from. longest: the result's longer side in pixels; small pictures grow.
    full: the support that is drawn in the strongest colour, by default the map's greatest.
    """
    scale = longest / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    resampling = Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS
    picture = np.asarray(image.convert("RGB").resize((width, height), resampling), dtype=np.float32)
    full = heat.highest if full is None else full
    share = np.clip(heat.resized(width, height) / full, 0, 1) if full > 0 else np.zeros((height, width))
    grey = picture.mean(-1, keepdims=True)
    faded = picture + _FADED * (0.6 * (grey - picture) + 0.4 * (128 - picture))
    stops = [stop for stop, _ in _HEAT]
    colour = np.stack([np.interp(share, stops, [one[channel] for _, one in _HEAT]) for channel in range(3)], -1)
    cover = (_STRONGEST * np.sqrt(share))[..., None]
    drawn = Image.fromarray(np.rint(faded + cover * (colour - faded)).astype(np.uint8))
    _draw_boxes(drawn, boxes, width / image.width, height / image.height)
    return drawn


def draw_strip(image: Image.Image, maps: Sequence[HeatMap], dark: bool = False) -> Image.Image:
    """The picture and its heat maps with their boxes side by side, at most `COLUMNS` in a row, phrases below them.

    All maps share one scale of colours: the weakest phrase looks as weak as it is. `dark`: light letters on dark.
    """
    palette = DARK if dark else LIGHT
    full = max((heat.highest for heat in maps), default=0.0)
    panels = [(_fitted(image), ["the picture"], "")]
    for heat in maps:
        boxes = heat.boxes()
        said = f"support up to {heat.highest:.2f}" if boxes else "no support"
        overlay = draw_overlay(image, heat, boxes, PANEL, full)
        panels.append((overlay, wrap(heat.phrase, PANEL, TEXT_SIZE, MOST_LINES), said))
    columns = min(COLUMNS, len(panels))
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    heights = [_row_height(row) for row in rows]
    size = (2 * MARGIN + columns * PANEL + (columns - 1) * GAP, 2 * MARGIN + sum(heights) + (len(rows) - 1) * GAP)
    strip = Image.new("RGB", size, palette.paper)
    pen = ImageDraw.Draw(strip)
    top = MARGIN
    for row, height in zip(rows, heights, strict=True):
        tallest = max(panel.height for panel, _, _ in row)
        for number, (panel, lines, said) in enumerate(row):
            left = MARGIN + number * (PANEL + GAP)
            strip.paste(panel, (left + (PANEL - panel.width) // 2, top + (tallest - panel.height) // 2))
            for line_number, line in enumerate([*lines, said]):
                ink = palette.faint if line_number == len(lines) else palette.ink
                place = (left, top + tallest + 8 + line_number * LINE_HEIGHT)
                pen.text(place, drawable(line), ink, font(TEXT_SIZE))
        top += height + GAP
    return strip


def draw_boxed(
    image: Image.Image, found: Sequence[tuple[str, Sequence[Box]]], dark: bool = False, longest: int = 768
) -> Image.Image:
    """The picture for each phrase, one below the other, at most so long, with the boxes around what it names."""
    palette = DARK if dark else LIGHT
    scale = min(1.0, longest / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    shown = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0).convert("RGB")
    width = max(shown.width, PANEL)
    labels = [wrap(phrase, width, TEXT_SIZE, MOST_LINES) for phrase, _ in found]
    height = sum(len(label) * LINE_HEIGHT + 8 + shown.height + GAP for label in labels)
    sheet = Image.new("RGB", (width + 2 * MARGIN, height - GAP + 2 * MARGIN), palette.paper)
    pen, top = ImageDraw.Draw(sheet), MARGIN
    for label, (_, boxes) in zip(labels, found, strict=True):
        for line in label:
            pen.text((MARGIN, top), drawable(line), palette.ink, font(TEXT_SIZE))
            top += LINE_HEIGHT
        panel = shown.copy()
        _draw_boxes(panel, boxes, size[0] / image.width, size[1] / image.height)
        sheet.paste(panel, (MARGIN, top + 8))
        top += 8 + shown.height + GAP
    return sheet


def _fitted(image: Image.Image) -> Image.Image:
    scale = PANEL / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.convert("RGB").resize(size, Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS)


def _row_height(row: Sequence[tuple[Image.Image, list[str], str]]) -> int:
    return max(panel.height for panel, _, _ in row) + 8 + LINE_HEIGHT * max(len(lines) + 1 for _, lines, _ in row)


def _draw_boxes(image: Image.Image, boxes: Sequence[Box], across: float, down: float) -> None:
    """White lines between dark ones, to be seen on any picture."""
    pen = ImageDraw.Draw(image)
    for number, box in enumerate(boxes):
        edges = (box.left * across, box.top * down, box.right * across - 1, box.bottom * down - 1)
        left, top, right, bottom = (round(edge) for edge in edges)
        line = 3 if number == 0 else 1
        for inset, colour, width in ((0, (20, 20, 20), line + 2), (1, (255, 255, 255), line)):
            inner = (left + inset, top + inset, max(right, left) - inset, max(bottom, top) - inset)
            if inner[0] < inner[2] and inner[1] < inner[3]:
                pen.rectangle(inner, outline=colour, width=width)
