"""A contact sheet: pictures with words beside them, as one image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from typing import TypeAlias

    Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

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
    note_lines = wrap(note, WIDTH - 2 * MARGIN)
    top = MARGIN + TITLE_SIZE + GAP + len(note_lines) * LINE_HEIGHT + GAP
    heights = [_card_height(card) for card in cards]

    sheet = Image.new("RGB", (WIDTH, top + sum(heights)), PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((MARGIN, MARGIN), title, INK, _font(TITLE_SIZE))
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


def wrap(text: str, width: int, size: int = TEXT_SIZE) -> list[str]:
    """Breaks `text` into lines of at most `width` pixels, between words where that is possible."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".lstrip()
        if text_length(joined, size) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and text_length(lines[-1] + letter, size) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def text_length(text: str, size: int = TEXT_SIZE) -> float:
    """Width of `text` in pixels."""
    return _font(size).getlength(_drawable(text))


def _card_height(card: Card) -> int:
    lines = sum(len(wrap(entry.text, TEXT_WIDTH)) for entry in card.entries)
    return 2 * GAP + max(PICTURE_SIZE, lines * LINE_HEIGHT + len(card.entries) * ENTRY_GAP)


def _write_entries(pen: ImageDraw.ImageDraw, corner: tuple[int, int], card: Card) -> None:
    left, top = corner
    for entry in card.entries:
        colour = ACCENT if entry.accented else INK
        lines = wrap(entry.text, TEXT_WIDTH)
        pen.text((left, top), _drawable(entry.label), ACCENT if entry.accented else FAINT, _font(TEXT_SIZE))
        _write_lines(pen, (left + LABEL_WIDTH, top), lines, colour)
        top += len(lines) * LINE_HEIGHT + ENTRY_GAP


def _write_lines(
    pen: ImageDraw.ImageDraw, corner: tuple[int, int], lines: list[str], colour: tuple[int, int, int]
) -> None:
    for number, line in enumerate(lines):
        pen.text((corner[0], corner[1] + number * LINE_HEIGHT), _drawable(line), colour, _font(TEXT_SIZE))


@cache
def _font(size: int) -> Font:
    try:
        return ImageFont.load_default(size)
    except TypeError:  # before Pillow 10.1 there is one size only
        return ImageFont.load_default()


def _drawable(text: str) -> str:
    """The old bitmap font has Latin-1 letters only."""
    if isinstance(_font(TEXT_SIZE), ImageFont.FreeTypeFont):
        return text
    return text.encode("latin-1", "replace").decode("latin-1")
