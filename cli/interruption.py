"""Ctrl-C that arrives while a library is being imported often comes out as that library's failure to load."""

from __future__ import annotations


def is_behind(error: BaseException) -> bool:
    """Whether `error` came up while a KeyboardInterrupt was on its way."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        if isinstance(current, KeyboardInterrupt):
            return True
        seen.add(id(current))
        current = current.__cause__ or current.__context__
    return False
