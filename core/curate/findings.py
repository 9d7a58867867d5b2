"""What was found in a folder, in one form for tables and pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Kind = Literal["duplicate", "turned", "outlier", "caption"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Finding:
    """name: the picture's, below the folder. said: what was found, as a sentence's end.

    other: of a duplicate the group's first picture. left: degrees that a turned picture has to be turned to the left.
    score: of a duplicate the greatest difference of colours, 0..255; of a turned one how many times likelier that is;
    of an outlier how many standard deviations it is farther than usual; of a caption the share of others that suit
    better."""

    kind: Kind
    name: str
    score: float
    said: str
    other: str = ""
    left: int = 0


@dataclass(frozen=True)
class Report:
    """root: the folder. pictures: how many its index has. findings: by kind, the surest first, duplicates by group.
    remarks: what was not looked for, and why. failures: why pictures could not be read, by name."""

    root: Path
    model: str
    pictures: int
    findings: tuple[Finding, ...]
    remarks: tuple[str, ...]
    failures: dict[str, str]

    def of(self, kind: Kind) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if each.kind == kind)

    def rows(self) -> list[tuple[str, ...]]:
        """A table with a heading, for CSV."""
        heading = ("kind", "image", "other", "left", "score", "note")
        return [
            heading,
            *(
                (each.kind, each.name, each.other, str(each.left or ""), f"{each.score:.4g}", each.said)
                for each in self.findings
            ),
        ]
