"""Text from elsewhere, made safe to show."""

from __future__ import annotations

import re
import unicodedata

_DIRECTION = {*"\u061c\u200e\u200f", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
"""They change the order in which what follows is shown, and so what it seems to say."""

_UNSEEN = {*"\u00ad\u034f\u180e\u200b\u2060\ufeff"}
"""They make two names look alike."""

_KEPT = "\n\t"
_HALVES = re.compile("[\ud800-\udfff]")


def printable(text: str) -> str:
    """`text` without what steers a terminal or a text's direction, and without halves of characters; line breaks in
    one form. What cannot be seen cannot deceive; all that can be seen stays."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n").replace("\u2029", "\n")
    return "".join(
        letter
        for letter in text
        if letter in _KEPT or (letter not in _DIRECTION and unicodedata.category(letter) not in ("Cc", "Cs"))
    ).strip()


def visible(text: str, kept: str = "") -> str:
    """`text` with what cannot be seen, steers a terminal or turns a text's direction written as in Python: a name may
    hold it, and is told from others by it. kept: of line ends and tabs those that stay. Bytes that are no UTF-8 stay,
    those excepted that steer a terminal."""
    if text.isprintable():
        return text
    return "".join(letter if letter in kept or not _is_hidden(letter) else _escaped(letter) for letter in text)


def shortened(text: str, most: int = 80) -> str:
    """With its middle left out where it is longer."""
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]}...{text[-half:]}"


def quoted(value: object) -> str:
    """A value that somebody gave, as Python writes it, shortened: it may be of any kind and length."""
    return shortened(repr(value))


def whole(text: str) -> str:
    """The text with U+FFFD in the place of each half of a character, which no tokenizer takes."""
    return text if text.isascii() else _HALVES.sub("\N{REPLACEMENT CHARACTER}", text)


def there_are(count: int, things: str) -> str:
    """How a sentence begins that counts. things: a regular plural."""
    return f"There is 1 {things.removesuffix('s')}" if count == 1 else f"There are {count:,} {things}"


def _is_hidden(letter: str) -> bool:
    if letter in _DIRECTION or letter in _UNSEEN:
        return True
    kind = unicodedata.category(letter)
    return kind in ("Cc", "Zl", "Zp") or (kind == "Cs" and not "\udca0" <= letter <= "\udcff")


def _escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":
        return f"\\x{ord(letter) - 0xDC00:02x}"
    return letter.encode("unicode_escape").decode()
