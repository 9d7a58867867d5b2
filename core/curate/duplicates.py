"""Pictures that show the same: one a copy of another in another size, crop or compression, or nearly so."""

from __future__ import annotations

import heapq
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ..progress import Progress
from .alignment import Look
from .neighbours import Neighbours
from .overlap import Overlap, overlap

CANDIDATES = 20
"""Of each picture: a crop to two thirds of the area was among them for 99 % of micro's validation pictures."""

_LOOKS_KEPT = 4096


class Pair(NamedTuple):
    """Two rows, the lower one first, and what the row's picture has of the other's."""

    row: int
    other: int
    overlap: Overlap


class Member(NamedTuple):
    """overlap: of the member with its group's first picture."""

    row: int
    overlap: Overlap


class Group(NamedTuple):
    first: int
    members: tuple[Member, ...]


def alike_pairs(near: Neighbours, look: Callable[[int], Look | None], progress: Progress) -> list[Pair]:
    """All pairs, in the order of their rows.

    near: `CANDIDATES` of each. look: a picture by its row, None where it cannot be had."""
    pairs: list[Pair] = []
    looks = _Kept(look)
    with progress.task("Comparing pictures", len(near.rows), "pictures") as task:
        for row, others in enumerate(near.rows.tolist()):
            for other in others:
                if other < row and row in near.rows[other]:
                    continue
                first, second = min(row, other), max(row, other)
                one, two = looks[first], looks[second]
                found = None if one is None or two is None else overlap(one, two)
                if found is not None:
                    pairs.append(Pair(first, second, found))
            task.advance()
    return sorted(pairs, key=lambda pair: pair[:2])


def groups(pairs: Iterable[Pair], rank: Callable[[int], Any], whole: bool = True) -> list[Group]:
    """Rows in groups, whose members each are alike to the first picture; in the order of the first ones' rows.

    rank: the picture to keep has the lowest; no two rows have the same. whole: a first picture shows all that its
    members show, whatever the ranks, so that nothing is lost with them. A row that no first picture is alike to is in
    no group, though it be alike to another's member."""
    alike: dict[int, dict[int, Overlap]] = defaultdict(dict)
    for pair in pairs:
        alike[pair.row][pair.other] = pair.overlap
        alike[pair.other][pair.row] = pair.overlap.turned_round()
    found, grouped = [], set[int]()
    for row in _firsts_first(alike, rank, whole):
        if row in grouped:
            continue
        seen = [(other, each) for other, each in alike[row].items() if other not in grouped]
        members = [Member(other, each.turned_round()) for other, each in seen if each.other_inside or not whole]
        if members:
            grouped |= {row, *(each.row for each in members)}
            found.append(Group(row, tuple(sorted(members, key=lambda each: rank(each.row)))))
    return sorted(found)


def _firsts_first(alike: dict[int, dict[int, Overlap]], rank: Callable[[int], Any], whole: bool) -> Sequence[int]:
    """By rank, but what is a part of another picture after it."""
    if not whole:
        return sorted(alike, key=rank)
    parts = {row: [other for other, each in seen.items() if _holds(each)] for row, seen in alike.items()}
    waiting = Counter(part for row in parts for part in parts[row])
    ready = [(rank(row), row) for row in alike if not waiting[row]]
    heapq.heapify(ready)
    order = []
    while ready:
        _, row = heapq.heappop(ready)
        order.append(row)
        for part in parts[row]:
            waiting[part] -= 1
            if not waiting[part]:
                heapq.heappush(ready, (rank(part), part))
    known = set(order)  # of parts in a circle, which only errors of measuring make, none is ready
    return [*order, *sorted((row for row in alike if row not in known), key=rank)]


def _holds(seen: Overlap) -> bool:
    """The other is a part of this picture, and not as much as all of it."""
    return seen.other_inside and not seen.one_inside


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
