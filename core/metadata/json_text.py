"""JSON that somebody else wrote: whatever is in it, a value or nothing."""

from __future__ import annotations

import json
from typing import Any

_LONGEST_INTEGER = 300


def loads(text: str) -> Any:
    """The value; None where the text is no JSON, or nested deeper than Python goes."""
    try:
        return json.loads(text, parse_int=_integer)
    except (ValueError, RecursionError, MemoryError):
        return None


def object_in(text: str) -> dict[str, Any] | None:
    """The object a text holds; None where it holds something else."""
    if text.lstrip()[:1] != "{":
        return None
    value = loads(text)
    return value if isinstance(value, dict) else None


def _integer(digits: str) -> int | str:
    """Long ones stay text: turning them into numbers takes the square of their length."""
    return int(digits) if len(digits) <= _LONGEST_INTEGER else digits
