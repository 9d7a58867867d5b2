"""What nodes have written: whether it is still there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Look = Callable[[], frozenset[str]]
"""Gives the names of those files that are there."""


@dataclass
class _Place:
    look: Look
    left: frozenset[str]
    times: int = 0


@dataclass
class Left:
    """How often files were found gone, for each place that a node writes to: part of what tells ComfyUI whether the
    node is to run again. A file that is new or was changed by hand is no reason to: the node would write over it, or
    put a prompt behind its text once more."""

    places: dict[tuple[Path, str], _Place] = field(default_factory=dict)

    def times_gone(self, path: Path, look: Look, how: str = "") -> int:
        """how: tells places apart that are one folder, looked at in several ways."""
        found = look()
        place = self.places.setdefault((path, how), _Place(look, found))
        place.times += bool(place.left - found)
        place.left = found
        return place.times

    def times_file_gone(self, path: Path) -> int:
        return self.times_gone(path, lambda: frozenset([path.name] if path.is_file() else []))

    def wrote(self, path: Path) -> None:
        """What is there now is what has to be, in places around this one and inside it too."""
        for (other, _), place in self.places.items():
            if other.is_relative_to(path) or path.is_relative_to(other):
                place.left = place.look()


LEFT = Left()
"""Of this process: ComfyUI keeps what nodes gave no longer than that."""
