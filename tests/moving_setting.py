"""What the tests of moving pictures share."""

from __future__ import annotations

from unrender.core.errors import Cancelled
from unrender.core.progress import Progress


class Stop(Progress):
    """After so many asked."""

    def __init__(self, after: int) -> None:
        self.left = after

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Cancelled()
