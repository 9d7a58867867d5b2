"""A part of a source that another machine does not take."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ..errors import SettingsError


@dataclass(frozen=True)
class Shard:
    """Number `index`, from 1, of `count` parts. Which part a picture is in depends on its name alone."""

    index: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise SettingsError(f"There is no shard {self.index} of {self.count}", f"give 1/{self.count} and so on")

    def holds(self, name: str) -> bool:
        return number_of_shard(name, self.count) == self.index

    @property
    def label(self) -> str:
        """Part of file names: "2of4", nothing where the whole is meant."""
        return f"{self.index}of{self.count}" if self.count > 1 else ""


def number_of_shard(name: str, count: int) -> int:
    """Which of `count` shards a picture is in, from 1."""
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % count + 1


WHOLE = Shard()
