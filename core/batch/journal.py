"""What a run has found so far, written before anything else is, so that a killed run goes on where it was.

A line of JSON each: what was asked for; then, for each picture, what was found and what the sink means to do; and after
each chunk a mark, with the sink's state once all before it is on the disk. After a kill what follows the last mark is
done once more, which the sinks make harmless.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..cures import Take
from ..errors import BatchError
from .append import AppendFile, writing
from .items import Outcome
from .sinks import Sink

_VERSION = 1


@dataclass
class Past:
    """What a journal tells of an earlier run.

    asked: what it was asked for; None where there was none. marked: whether it came as far as a first mark, with the
    sink's `state`. pending: outcomes after the last mark, by name. done: names of pictures that need no second look.
    failures: the others' names, with the reasons. moved: where pictures were moved, as the plans tell. size: of the
    journal without a torn line.
    """

    asked: Mapping[str, Any] | None = None
    marked: bool = False
    finished: bool = False
    state: Mapping[str, Any] = field(default_factory=dict)
    pending: dict[str, Outcome] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    failures: dict[str, str] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    size: int = 0

    def take(self, values: Mapping[str, Any]) -> None:
        if "batch" in values:
            self.asked = values["asked"]
        elif "state" in values:
            self.state, self.marked, self.finished = values["state"], True, values["finished"]
            self.pending = {}
        else:
            self._take_outcome(Outcome.from_dict(values))

    def _take_outcome(self, outcome: Outcome) -> None:
        self.finished = False
        self.pending[outcome.name] = outcome
        if outcome.result is None:
            self.done.discard(outcome.name)
            self.failures[outcome.name] = outcome.error
        else:
            self.done.add(outcome.name)
            self.failures.pop(outcome.name, None)
        if "moved" in outcome.plan:
            self.moved.add(outcome.plan["moved"])


def read_past(path: Path) -> Past:
    """Raises BatchError where the file is no journal of this program."""
    past = Past()
    if path.exists():
        for values, size in _lines(path):
            past.take(values)
            past.size = size
    return past


def outcomes(path: Path) -> Iterator[Outcome]:
    """All that a journal holds, oldest first. Raises BatchError."""
    return (Outcome.from_dict(values) for values, _ in _lines(path) if "image" in values)


def past_to_go_on_from(sink: Sink, asked: Mapping[str, Any], resume: bool) -> Past:
    """An empty one where a run is to begin anew. Raises BatchError where that would do things twice."""
    past = read_past(sink.journal)
    if past.asked is None or (resume and past.asked == asked):
        return past
    if past.finished or not past.marked or sink.anew_is_harmless:
        return Past()
    if resume:
        other = " and ".join(name for name in asked if past.asked.get(name) != asked[name])
        raise BatchError(
            f"The run noted in {sink.journal} was begun with another {other}",
            "give the same",
            "move that file away to begin anew",
        )
    raise BatchError(
        f"An earlier run in {sink.place} did not finish", Take("resume"), f"move {sink.journal} away to begin anew"
    )


class Journal:
    """Opened for writing: after what `past` tells of, or anew. Raises BatchError."""

    def __init__(self, path: Path, asked: Mapping[str, Any], past: Past) -> None:
        self.path = path
        self._file = AppendFile(path, anew=past.asked is None)
        if past.asked is None:
            self._write([{"batch": _VERSION, "asked": asked}])
        else:
            self._file.truncate(past.size)

    def add(self, found: Iterable[Outcome]) -> None:
        self._write([outcome.to_dict() for outcome in found])

    def mark(self, state: Mapping[str, Any], finished: bool = False) -> None:
        self._write([{"state": state, "finished": finished}])

    def close(self) -> None:
        self._file.close()

    def _write(self, lines: Iterable[Mapping[str, Any]]) -> None:
        # characters outside ASCII are escaped: file names may hold some that no encoding has
        self._file.append("".join(json.dumps(line) + "\n" for line in lines).encode("ascii"))
        self._file.sync()


def _lines(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Each whole line with where it ends; the torn one that a kill left at the end is dropped."""
    size = 0
    with writing(path), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            values = _values(line)
            if not values or (number == 1 and values.get("batch") != _VERSION):
                raise BatchError(f"Line {number} of {path} is none that a run writes", "move it away to begin anew")
            size += len(line)
            yield values, size


def _values(line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line)
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}
