"""Where a text that is too long ends: after a sentence, else a clause, else a word, else a letter."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_SENTENCE = re.compile(
    r"""(?:(?<!\b\w)(?<!\b[A-Z][a-z])\.|[!?…])[.!?…]*["'”’»)\]]*(?=\s)"""
    r"|[。！？｡]+[」』”’）]*"
    r"|(?=\n)"
)
"""A full stop after one letter or two ("J.", "e.g.", "St.") abbreviates."""

_CLAUSE = re.compile(r"(?=[,;:]\s)|(?=\s[-–—]+\s)|(?=—)|(?=[、，；：])")
_WORD = re.compile(r"(?=\s)")
_LEAST_KEPT = 0.25
"""Of what would fit: an end before that ("In the picture, ...") says nothing, and a finer one is looked for."""

_AT_FIRST = 16
_JOINER = "\u200d"


def cut(text: str, length: Callable[[str], int], limit: int) -> str:
    """The text, or as much of its beginning as has so many tokens, without white space at its end. Empty only where the
    first letter alone has more.

    length: tokens of a text. Only as much of a long one is counted as settles the matter."""
    reach = _reach(text, length, limit)
    if reach == len(text) and length(text) <= limit:
        return text
    most = _most_letters(text[:reach], length, limit)
    for ending in (_SENTENCE, _CLAUSE, _WORD):
        for end in sorted({found.end() for found in ending.finditer(text[: most + 1])}, reverse=True):
            if end < _LEAST_KEPT * most:
                break
            kept = text[:end].rstrip()
            if end <= most and length(kept) <= limit:
                return kept
    return text[: _between_letters(text, most)].rstrip() or text[:most].rstrip()


def finished(text: str) -> str:
    """Of a text that broke off somewhere, what is whole: up to its last sentence's end, else its last clause's, else
    all of it."""
    for ending in (_SENTENCE, _CLAUSE):
        ends = [found.end() for found in ending.finditer(f"{text} ") if found.end() <= len(text)]
        if ends and ends[-1] >= _LEAST_KEPT * len(text) and text[: ends[-1]].strip():
            return text[: ends[-1]].rstrip()
    return text.rstrip()


def _reach(text: str, length: Callable[[str], int], limit: int) -> int:
    """Letters from the beginning that are too many, or all there are: twice the limit's tokens are never joined to as
    few as the limit by what follows."""
    reach = _AT_FIRST * limit
    while reach < len(text) and length(text[:reach]) <= 2 * limit:
        reach *= 2
    return min(reach, len(text))


def _most_letters(text: str, length: Callable[[str], int], limit: int) -> int:
    """How many letters fit, to the end of a word where the whole of it has fewer tokens than its beginning."""
    fitting, too_many = 0, len(text) + 1
    while too_many - fitting > 1:
        middle = (fitting + too_many) // 2
        if length(text[:middle]) <= limit:
            fitting = middle
        else:
            too_many = middle
    found = _WORD.search(text, fitting)
    end = found.start() if found else len(text)
    return end if length(text[:end]) <= limit else fitting


def _between_letters(text: str, end: int) -> int:
    """The place itself or the next before it that is inside no accented letter, flag or joined emoji."""
    while 0 < end < len(text) and _belongs_to_the_last(text, end):
        end -= 1
    return end


def _belongs_to_the_last(text: str, place: int) -> bool:
    letter = text[place]
    if _JOINER in (letter, text[place - 1]) or unicodedata.category(letter)[0] == "M" or _is_tone(letter):
        return True
    flags = len(text[:place]) - len(text[:place].rstrip("".join(map(chr, range(0x1F1E6, 0x1F200)))))
    return "\U0001f1e6" <= letter <= "\U0001f1ff" and flags % 2 == 1


def _is_tone(letter: str) -> bool:
    return "\U0001f3fb" <= letter <= "\U0001f3ff"
