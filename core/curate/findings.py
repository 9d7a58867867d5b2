"""What was found in a folder, in one form for tables and pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from ..places import place_from
from ..tags import Tag, rating_of

Kind = Literal["duplicate", "near", "turned", "outlier", "caption"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Finding:
    """name: the picture's, below the folder. said: what was found, as a sentence's end.

    other: of a duplicate or nearly one the group's first picture. overlap: what both of them show, of all that the two
    show, 0..1; of a duplicate the first shows all. left: degrees that a turned picture has to be turned to the left.
    score: of a duplicate, or nearly one, the greatest difference of colours, 0..255; of a turned one how many times
    likelier that is; of an outlier how many standard deviations it is farther than usual; of a caption the share of
    others that suit better."""

    kind: Kind
    name: str
    score: float
    said: str
    other: str = ""
    left: int = 0
    overlap: float | None = None


@dataclass(frozen=True)
class Report:
    """root: the folder. pictures: how many its index has. findings: by kind, the surest first, duplicates and near
    ones by group. remarks: what was not looked for, and why. failures: why pictures could not be read, by name.
    tags: of the pictures that were found, by name, where the index has tags."""

    root: Path
    model: str
    pictures: int
    findings: tuple[Finding, ...]
    remarks: tuple[str, ...]
    failures: dict[str, str]
    tags: Mapping[str, tuple[Tag, ...]] = field(default_factory=dict)

    def of(self, kind: Kind) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if each.kind == kind)

    def least_overlap(self, kind: Kind) -> float | None:
        return min((each.overlap for each in self.of(kind) if each.overlap is not None), default=None)

    def rows(self, folder: Path) -> list[tuple[str, ...]]:
        """A table with a heading, for a CSV file in this folder, from where its pictures are found."""
        header = ("kind", "image", "other", "left", "score", "note", "overlap", "tags", "rating")
        place = partial(place_from, folder, self.root)
        return [header, *((*_row(each, place), *self.told(each.name)) for each in self.findings)]

    def told(self, name: str) -> tuple[str, str]:
        """A picture's tags, as the tagger writes them, and its rating."""
        tags = self.tags.get(name, ())
        return ", ".join(tag.name for tag in tags if tag.category != "rating"), rating_of(tags)


def _row(each: Finding, place: Callable[[str], str]) -> tuple[str, ...]:
    overlap = "" if each.overlap is None else f"{each.overlap:.3f}"
    other = each.other and place(each.other)
    return each.kind, place(each.name), other, str(each.left or ""), f"{each.score:.4g}", each.said, overlap
