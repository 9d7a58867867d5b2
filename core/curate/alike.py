"""What in a folder is a copy of another picture, and what is nearly the same and none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import ImageError
from ..index.file import PictureIndex
from .alignment import Look
from .duplicates import CANDIDATES, Group, alike_pairs, groups
from .findings import Finding, Kind
from .neighbours import neighbours
from .overlap import THE_SAME, Overlap

if TYPE_CHECKING:
    from ..engine import Engine

Size = tuple[int, int]


def alike_findings(engine: Engine, index: PictureIndex, failures: dict[str, str]) -> Iterator[Finding]:
    """Copies by groups, then what is nearly the same as a picture that is no copy itself. Of pictures with the same
    bytes one is looked at. failures: takes why a picture could not be."""
    same = _by_digest(index)
    known = _Known(index, [rows[0] for rows in same], failures)
    pairs = alike_pairs(neighbours(index.features[known.rows], CANDIDATES), known.look, engine.progress)
    copies = groups((pair for pair in pairs if pair.overlap.copies), known.rank)
    yield from _copies(known, same, copies)
    members = {member.row for group in copies for member in group.members}
    near = (pair for pair in pairs if not pair.overlap.copies and members.isdisjoint(pair[:2]))
    for group in groups(near, known.rank, whole=False):
        for member in group.members:
            yield known.finding("near", member.row, group.first, member.overlap, _differing(member.overlap))


class _Known:
    """Pictures that differ in their bytes, numbered. rows: theirs in the index. sizes: of those that were looked at."""

    def __init__(self, index: PictureIndex, rows: list[int], failures: dict[str, str]) -> None:
        self._index = index
        self._failures = failures
        self.rows = rows
        self.sizes: dict[int, Size] = {}

    def look(self, number: int) -> Look | None:
        from ..images import open_image, original_size

        row = self.rows[number]
        try:
            picture = open_image(self._index.path(row))
        except ImageError as error:
            self._failures[self._index.entries[row].name] = str(error)
            return None
        self.sizes[number] = original_size(picture)
        return Look.at(picture)

    def rank(self, number: int) -> tuple[int, int, int]:
        """The most pixels first, and the most bytes for them: what is smaller or more compressed was made from it."""
        width, height = self.sizes.get(number, (0, 0))
        return -width * height, -self._index.entries[self.rows[number]].size, number

    def finding(
        self, kind: Kind, number: int, first: int, overlap: Overlap, said: str, row: int | None = None
    ) -> Finding:
        """row: of one with the same bytes as the numbered one, where it is not the numbered one."""
        name = self._index.entries[self.rows[number] if row is None else row].name
        other = self._index.entries[self.rows[first]].name
        return Finding(kind, name, overlap.difference, said, other=other, overlap=overlap.share)


def _by_digest(index: PictureIndex) -> list[list[int]]:
    rows: dict[str, list[int]] = {}
    for row, entry in enumerate(index.entries):
        rows.setdefault(entry.digest, []).append(row)
    return list(rows.values())


def _copies(known: _Known, same: list[list[int]], found: list[Group]) -> Iterator[Finding]:
    by_first = {group.first: group for group in found}
    members = {member.row for group in found for member in group.members}
    for number, rows in enumerate(same):
        if number in members:
            continue
        for row in rows[1:]:
            yield known.finding("duplicate", number, number, THE_SAME, "the same bytes", row)
        for member in by_first[number].members if number in by_first else ():
            said = _sized(known.sizes[member.row], known.sizes[number])
            for row in same[member.row]:
                yield known.finding("duplicate", member.row, number, member.overlap, said, row)


def _sized(copy: Size, first: Size) -> str:
    if copy == first:
        return "shows the same in the same size"
    return f"{copy[0]} x {copy[1]} beside {first[0]} x {first[1]}"


def _differing(overlap: Overlap) -> str:
    if overlap.one_inside or overlap.other_inside:
        return "nearly the same: something in it differs"
    return "nearly the same: each shows a margin that the other lacks"
