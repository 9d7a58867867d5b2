"""A contact sheet: pictures with words beside them, and what was rendered from them below, as one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image, ImageDraw

from ..core.drawing.lettering import drawable, font, wrap
from ..core.drawing.paper import FAINT, INK, PAPER, at_size

WIDTH = 1000
MARGIN = 28
GAP = 18
PICTURE_SIZE = 208
LABEL_WIDTH = 84
TEXT_WIDTH = WIDTH - 2 * MARGIN - PICTURE_SIZE - GAP - LABEL_WIDTH
TITLE_SIZE, TEXT_SIZE = 26, 16
LINE_HEIGHT = 22
RENDERING_SIZE, LABEL_SIZE, LABEL_HEIGHT = 192, 14, 19
ENTRY_GAP = 5

ACCENT = (11, 110, 79)
RULE = (222, 226, 230)


class Entry(NamedTuple):
    """One labelled text of a card; an accented one stands out."""

    label: str
    text: str
    accented: bool = False


class Rendering(NamedTuple):
    """A picture that was made, and of what."""

    label: str
    picture: Image.Image


@dataclass(frozen=True)
class Card:
    """A picture, what is said about it, and what was rendered from it."""

    picture: Image.Image
    entries: tuple[Entry, ...]
    renderings: tuple[Rendering, ...] = ()


def draw_sheet(title: str, note: str, cards: Sequence[Card]) -> Image.Image:
    """The cards one below the other under a title and a note. Text is wrapped; the sheet grows with it."""
    note_lines = wrap(note, WIDTH - 2 * MARGIN, TEXT_SIZE)
    top = MARGIN + TITLE_SIZE + GAP + len(note_lines) * LINE_HEIGHT + GAP
    heights = [_card_height(card) for card in cards]

    sheet = Image.new("RGB", (WIDTH, top + sum(heights)), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN), title, INK, font(TITLE_SIZE))
    _write_lines(pen, (MARGIN, MARGIN + TITLE_SIZE + GAP), note_lines, FAINT)
    for card, height in zip(cards, heights, strict=True):
        pen.line((MARGIN, top, WIDTH - MARGIN, top), RULE)
        sheet.paste(at_size(card.picture, PICTURE_SIZE), (MARGIN, top + GAP))
        left = MARGIN + PICTURE_SIZE + GAP
        _write_entries(pen, (left, top + GAP), card)
        _place_renderings(sheet, (left, top + height - GAP - _strip_height(card)), card.renderings)
        top += height
    return sheet


def _card_height(card: Card) -> int:
    lines = sum(len(wrap(entry.text, TEXT_WIDTH, TEXT_SIZE)) for entry in card.entries)
    texts = lines * LINE_HEIGHT + len(card.entries) * ENTRY_GAP
    return 2 * GAP + max(PICTURE_SIZE, texts + (GAP + _strip_height(card) if card.renderings else 0))


def _strip_height(card: Card) -> int:
    lines = (len(wrap(each.label, RENDERING_SIZE, LABEL_SIZE)) for each in card.renderings)
    return RENDERING_SIZE + max(lines) * LABEL_HEIGHT if card.renderings else 0


def _place_renderings(sheet: Image.Image, corner: tuple[int, int], renderings: Sequence[Rendering]) -> None:
    """Below their labels, which may be of several lines."""
    pen = ImageDraw.Draw(sheet)
    labels = [wrap(each.label, RENDERING_SIZE, LABEL_SIZE) for each in renderings]
    top = corner[1] + max(map(len, labels), default=0) * LABEL_HEIGHT
    for number, (each, lines) in enumerate(zip(renderings, labels, strict=True)):
        left = corner[0] + number * (RENDERING_SIZE + GAP)
        for row, line in enumerate(lines):
            place = (left, top - (len(lines) - row) * LABEL_HEIGHT)
            pen.text(place, drawable(line), FAINT, font(LABEL_SIZE))
        sheet.paste(at_size(each.picture, RENDERING_SIZE), (left, top))


def _write_entries(pen: ImageDraw.ImageDraw, corner: tuple[int, int], card: Card) -> None:
    left, top = corner
    for entry in card.entries:
        colour = ACCENT if entry.accented else INK
        lines = wrap(entry.text, TEXT_WIDTH, TEXT_SIZE)
        pen.text((left, top), drawable(entry.label), ACCENT if entry.accented else FAINT, font(TEXT_SIZE))
        _write_lines(pen, (left + LABEL_WIDTH, top), lines, colour)
        top += len(lines) * LINE_HEIGHT + ENTRY_GAP


def _write_lines(
    pen: ImageDraw.ImageDraw, corner: tuple[int, int], lines: list[str], colour: tuple[int, int, int]
) -> None:
    for number, line in enumerate(lines):
        pen.text((corner[0], corner[1] + number * LINE_HEIGHT), drawable(line), colour, font(TEXT_SIZE))
