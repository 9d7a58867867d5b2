"""What links bring. In what is sent to ComfyUI's API a text or a number may stand in a link's place."""

from __future__ import annotations

from typing import Any, TypeVar

from ..core.errors import SettingsError
from ..core.foreign import shown

Linked = TypeVar("Linked")
_LONGEST = 60


def linked(value: Any, kind: type[Linked], name: str) -> Linked:
    """The value, where it is of that kind. name: the input's. Raises SettingsError for anything else."""
    if isinstance(value, kind):
        return value
    raise not_linked(value, name)


def not_linked(value: Any, name: str) -> SettingsError:
    plain = isinstance(value, str | int | float | list | dict | None)
    what = shown(repr(value), _LONGEST) if plain else "something else"
    return SettingsError(f"{name} takes what a node gives, and {what} stands there", "connect one that gives it")
