"""Pictures that show the same: the same bytes, or one a copy of another in another size, crop or compression."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from ..progress import Progress
from .alignment import Look, difference
from .neighbours import Neighbours

CANDIDATES = 20
"""Of each picture: a crop to two thirds of the area was among them for 99 % of micro's validation pictures."""

_SAME = 16.0
"""Greatest difference of copies; chosen on micro's validation pictures (benchmarks/curation.py)."""

_LOOKS_KEPT = 4096


class Pair(NamedTuple):
    """Two rows of the index, the lower one first. difference: see `core.curate.alignment.difference`; 0 for the same
    bytes."""

    row: int
    other: int
    difference: float


def duplicate_pairs(
    digests: Sequence[str], near: Neighbours, look: Callable[[int], Look | None], progress: Progress
) -> list[Pair]:
    """All pairs, in the order of their rows.

    digests: of the pictures' bytes. near: `CANDIDATES` of each. look: a picture by its row, None where it cannot be
    had."""
    pairs = {(pair.row, pair.other): pair for pair in _same_bytes(digests)}
    looks = _Kept(look)
    with progress.task("Comparing pictures", len(near.rows), "pictures") as task:
        for row, others in enumerate(near.rows.tolist()):
            for other in others:
                first, second = min(row, other), max(row, other)
                if (first, second) in pairs or (other < row and row in near.rows[other]):
                    continue
                one, two = looks[first], looks[second]
                found = float("inf") if one is None or two is None else difference(one, two)
                if found <= _SAME:
                    pairs[first, second] = Pair(first, second, found)
            task.advance()
    return sorted(pairs.values())


def groups(pairs: Iterable[Pair]) -> list[list[int]]:
    """Rows that belong together, directly or through others; groups and rows in order."""
    group_of: dict[int, list[int]] = {}
    for pair in pairs:
        one, other = (group_of.setdefault(row, [row]) for row in pair[:2])
        if one is not other:
            one += other
            group_of |= dict.fromkeys(other, one)
    return sorted(sorted(rows) for rows in {id(rows): rows for rows in group_of.values()}.values())


def _same_bytes(digests: Sequence[str]) -> Iterator[Pair]:
    first: dict[str, int] = {}
    for row, digest in enumerate(digests):
        if first.setdefault(digest, row) != row:
            yield Pair(first[digest], row, 0.0)


class _Kept:
    """Pictures as they are compared, those used last kept."""

    def __init__(self, look: Callable[[int], Look | None]) -> None:
        self._look = look
        self._kept: OrderedDict[int, Look | None] = OrderedDict()

    def __getitem__(self, row: int) -> Look | None:
        if row not in self._kept:
            self._kept[row] = self._look(row)
            if len(self._kept) > _LOOKS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(row)
        return self._kept[row]
