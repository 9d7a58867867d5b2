"""Prompts as file names, numbered where several are alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..file_names import NAME_BYTES, safe_stem

_LEAST_BYTES = 16


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
