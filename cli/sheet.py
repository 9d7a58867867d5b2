"""A contact sheet: pictures with words beside them, as one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from PIL import Image, ImageDraw

from ..core.lettering import drawable, font, wrap

WIDTH = 1000
MARGIN = 28
GAP = 18
PICTURE_SIZE = 208
LABEL_WIDTH = 84
TEXT_WIDTH = WIDTH - 2 * MARGIN - PICTURE_SIZE - GAP - LABEL_WIDTH
TITLE_SIZE, TEXT_SIZE = 26, 16
LINE_HEIGHT = 22
ENTRY_GAP = 5

PAPER = (255, 255, 255)
INK = (33, 37, 41)
FAINT = (108, 117, 125)
ACCENT = (11, 110, 79)
RULE = (222, 226, 230)


class Entry(NamedTuple):
    """One labelled text of a card; an accented one stands out."""

    label: str
    text: str
    accented: bool = False


@dataclass(frozen=True)
class Card:
    """A picture and what is said about it."""

    picture: Image.Image
    entries: tuple[Entry, ...]


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
        sheet.paste(enlarge(card.picture), (MARGIN, top + GAP))
        _write_entries(pen, (MARGIN + PICTURE_SIZE + GAP, top + GAP), card)
        top += height
    return sheet


def enlarge(picture: Image.Image) -> Image.Image:
    """The picture at PICTURE_SIZE. A small one keeps its pixels: smoothing would show what is not there."""
    small = max(picture.size) * 2 <= PICTURE_SIZE
    resampling = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
    scale = PICTURE_SIZE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.convert("RGB").resize(size, resampling)


def _card_height(card: Card) -> int:
    lines = sum(len(wrap(entry.text, TEXT_WIDTH, TEXT_SIZE)) for entry in card.entries)
    return 2 * GAP + max(PICTURE_SIZE, lines * LINE_HEIGHT + len(card.entries) * ENTRY_GAP)


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
