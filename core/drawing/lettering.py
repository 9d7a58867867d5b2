"""Text on pictures with Pillow's own font, whatever Pillow there is."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from PIL import ImageFont

if TYPE_CHECKING:
    from typing import TypeAlias

    Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont


@cache
def font(size: int) -> Font:
    """The font at a size in pixels; before Pillow 10.1 there is one size only."""
    try:
        return ImageFont.load_default(size)
    except TypeError:
        return ImageFont.load_default()


def drawable(text: str) -> str:
    """The text as the font can draw it: the old bitmap font has Latin-1 letters only."""
    if isinstance(font(16), ImageFont.FreeTypeFont):
        return text
    return text.encode("latin-1", "replace").decode("latin-1")


def text_length(text: str, size: int) -> float:
    """In pixels."""
    return font(size).getlength(drawable(text))


def wrap(text: str, width: int, size: int, most_lines: int | None = None) -> list[str]:
    """The text in lines of at most `width` pixels, broken between words where that is possible; of more than
    `most_lines` the last one kept ends in an ellipsis."""
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
        if most_lines is not None and len(lines) > most_lines:
            break
    if most_lines is None or len(lines) <= most_lines:
        return lines
    last = lines[most_lines - 1]
    while last and text_length(f"{last}…", size) > width:
        last = last[:-1]
    return [*lines[: most_lines - 1], f"{last}…"]
