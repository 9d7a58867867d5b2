"""Prompts as file names that every operating system takes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..printable import printable

NAME_BYTES = 143
"""Of a whole file name in UTF-8: what encrypted home folders (eCryptfs) leave of the usual 255."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\u0000-\u001f\u007f\ufeff\u200b]')
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"}
)
_LEAST_KEPT = 0.5
_LEAST_BYTES = 16


def safe_stem(text: str, most_bytes: int) -> str:
    """A file name's part before the suffix, of no more bytes than that in UTF-8: letters of all scripts stay, what
    Windows, macOS or Linux refuse, or would not show as it is, goes. Never empty."""
    text = _FORBIDDEN.sub(" ", unicodedata.normalize("NFC", printable(text)))
    text = " ".join(text.split()).strip(" .,~-")
    text = _shortened(text, most_bytes - 1).strip(" .,~-")
    if not text:
        return "untitled"
    return f"_{text}" if text.split(".")[0].strip().casefold() in _DEVICES else text


class Numbers(NamedTuple):
    """Names of one text whose numbers, from `first` to `last`, have equally many digits, and so leave it equal room."""

    stem: str
    first: int
    last: int

    def name(self, number: int) -> str:
        return f"{self.stem} ({number})" if number > 1 else self.stem


def names_of(text: str, suffix: str, most_bytes: int = NAME_BYTES) -> Iterator[Numbers]:
    """TEXT, TEXT (2), TEXT (3), ..., each short enough with the suffix, in this order."""
    first, last = 1, 1
    while True:
        mark = f" ({last})" if last > 1 else ""
        room = most_bytes - len((mark + suffix).encode(errors="surrogatepass"))
        yield Numbers(safe_stem(text, max(room, _LEAST_BYTES)), first, last)
        first, last = last + 1, last * 10 + 9 if last > 1 else 9


def numbered(text: str, suffix: str, is_taken: Callable[[str], bool], most_bytes: int = NAME_BYTES) -> str:
    """The first of TEXT, TEXT (2), TEXT (3), ..., each with the suffix and short enough, that is not taken."""
    each = (
        numbers.name(number) + suffix
        for numbers in names_of(text, suffix, most_bytes)
        for number in range(numbers.first, numbers.last + 1)
    )
    return next(name for name in each if not is_taken(name))


def same_name(name: str) -> str:
    """Equal for names that some file system takes for one: letter case, and ways to compose a letter."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _shortened(text: str, most_bytes: int) -> str:
    """Cut before a comma if that keeps most of it, else between words, else between letters."""
    if len(text.encode()) <= most_bytes:
        return text
    cut = text.encode()[:most_bytes].decode(errors="ignore")
    while cut and unicodedata.combining(text[len(cut)]):  # a letter goes with its marks
        cut = cut[:-1]
    for separator in (",", " "):
        place = cut.rfind(separator)
        if place >= len(cut) * _LEAST_KEPT:
            return cut[:place]
    return cut
