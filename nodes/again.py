"""Whether a node is to run again because a file changed that it reads or writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_MOST_KNOWN = 64


def stamp(path: Path | None) -> tuple[int, int] | None:
    """Other once the file is; None where there is none."""
    try:
        found = None if path is None else path.stat()
    except OSError:
        return None
    return None if found is None else (found.st_mtime_ns, found.st_size)


@dataclass
class Again:
    """What tells ComfyUI that nodes of a kind are to run again. look: at the files that values of their inputs name.

    ComfyUI asks before a graph runs, when it knows no value of an input that is linked, and gives None: then all
    files count that such nodes were given before."""

    look: Callable[..., Any]
    _known: dict[tuple[Any, ...], Any] = field(default_factory=dict)
    _changes: int = 0

    def fingerprint(self, *values: Any) -> Any:
        if None not in values:
            return self.look(*values)
        for each, before in self._known.items():
            self._known[each] = self.look(*each)
            self._changes += self._known[each] != before
        return self._changes

    def given(self, *values: Any) -> None:
        """To a node that runs: before it reads, or after it wrote. Anything but texts and switches it refuses."""
        if not all(isinstance(each, str | bool) for each in values):
            return
        self._known.pop(values, None)
        self._known[values] = self.look(*values)
        for oldest in list(self._known)[:-_MOST_KNOWN]:
            del self._known[oldest]
