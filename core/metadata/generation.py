"""How a picture was made, as one value that every format is read into."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

MOST_SETTINGS = 100
MOST_LETTERS_OF_SETTING = 4000
MOST_LETTERS_OF_NAME = 80
_MOST_DIGITS_OF_SEED = 40
MOST_LETTERS_OF_PROMPT = 2**18


@dataclass(frozen=True)
class Generation:
    """How a picture was made, as its file has it. Empty strings where it says nothing.

    notes: what is not known of it and why, a sentence each.
    read: the names of the file's texts that are said by this as a whole, and need not be shown again.
    """

    generator: str
    prompt: str = ""
    negative_prompt: str = ""
    seed: str = ""
    model: str = ""
    settings: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    read: frozenset[str] = frozenset()

    @property
    def says_something(self) -> bool:
        return bool(self.prompt or self.negative_prompt or self.seed or self.model or self.notes)


def plain(value: Any, most: int = MOST_LETTERS_OF_SETTING) -> str:
    """A text or number as a text; "" for anything else, whose form nobody has promised."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        return str(value) if math.isfinite(value) else ""
    if isinstance(value, int):
        return str(value) if value.bit_length() < 1024 else ""
    return value.strip()[:most] if isinstance(value, str) else ""


def seed_text(value: Any) -> str:
    """A seed; "" for what is none."""
    text = plain(value).removesuffix(".0")
    return text if len(text) <= _MOST_DIGITS_OF_SEED and text.removeprefix("-").isdecimal() else ""


def prompt_text(value: Any) -> str:
    """A prompt, which may be long, or several in a list."""
    if isinstance(value, list):
        return "\n".join(dict.fromkeys(text for text in map(prompt_text, value[:64]) if text))[:MOST_LETTERS_OF_PROMPT]
    return plain(value, MOST_LETTERS_OF_PROMPT)


def first(values: Mapping[str, Any], names: Iterable[str]) -> str:
    """The first of these that says something."""
    return next((text for text in (plain(values.get(name)) for name in names) if text), "")


def settings_of(values: Mapping[str, Any], but: Iterable[str] = ()) -> tuple[tuple[str, str], ...]:
    """The plain ones among values."""
    left = {*but}
    pairs = ((str(name)[:MOST_LETTERS_OF_NAME], plain(value)) for name, value in values.items() if name not in left)
    return tuple((name, text) for name, text in pairs if text)[:MOST_SETTINGS]
