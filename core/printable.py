"""Text from elsewhere, made safe to show."""

from __future__ import annotations

import unicodedata

_DIRECTION = {*"\u061c\u200e\u200f", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
"""They change the order in which what follows is shown, and so what it seems to say."""

_KEPT = "\n\t"


def printable(text: str) -> str:
    """`text` without what steers a terminal or a text's direction, and without halves of characters; line breaks in
    one form. What cannot be seen cannot deceive; all that can be seen stays."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return "".join(
        letter
        for letter in text
        if letter in _KEPT or (letter not in _DIRECTION and unicodedata.category(letter) not in ("Cc", "Cs"))
    ).strip()
