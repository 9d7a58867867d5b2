"""What the tests of moving pictures share."""

from __future__ import annotations

from pathlib import Path

from unrender.core.errors import Cancelled
from unrender.core.progress import Progress


class Stop(Progress):
    """As soon as there is a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def check(self) -> None:
        if self.path.exists():
            raise Cancelled()
