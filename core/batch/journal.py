"""What a run has found so far, written before anything else is, so that a killed run goes on where it was.

A line of JSON each: what was asked for; then, for each picture, what was found and what the sink means to do; and after
each chunk a mark, with the sink's state once all before it is on the disk. After a kill what follows the last mark is
done once more, which the sinks make harmless.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ..cures import Take
from ..errors import BatchError
from ..files import is_anothers, read_own
from .append import AppendFile, writing
from .items import Outcome
from .sinks import Sink

_VERSION = 1
_BEGINNING = b'{"batch":'
_MOST_BYTES = 2**26
"""Of a line: far more than what is found of a picture."""


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
        """A line. Raises ValueError for one that no run writes."""
        if self.asked is None:
            if values.get("batch") != _VERSION or not isinstance(values.get("asked"), dict):
                raise ValueError("not how a journal begins")
            self.asked = values["asked"]
        elif "state" in values:
            state, finished = values["state"], values.get("finished")
            if not isinstance(state, dict) or not isinstance(finished, bool):
                raise ValueError("not a mark")
            self.state, self.marked, self.finished = state, True, finished
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
        if isinstance(moved := outcome.plan.get("moved"), str):
            self.moved.add(moved)


def read_past(path: Path) -> Past:
    """Raises BatchError where the file is no journal of this program."""
    past = Past()
    if os.path.lexists(path):
        for line in _lines(path):
            with _understood(path, line):
                past.take(line.values())
            past.size = line.end
    return past


def outcomes(path: Path) -> Iterator[Outcome]:
    """All that a journal holds, oldest first. Raises BatchError."""
    for line in _lines(path):
        with _understood(path, line):
            values = line.values()
            if line.number == 1:
                Past().take(values)
            found = Outcome.from_dict(values) if "image" in values else None
        if found is not None:
            yield found


def past_to_go_on_from(sink: Sink, asked: Mapping[str, Any], resume: bool) -> Past:
    """An empty one where a run is to begin anew. Raises BatchError where that would do things twice."""
    past = read_past(sink.journal)
    if past.asked is None:
        return past
    if resume and past.asked == asked:
        refuse_anothers(sink.journal)
        for outcome in past.pending.values():
            if outcome.result is not None and not sink.knows(outcome.plan):
                raise strange(sink.journal, f'What {sink.journal} tells of "{outcome.name}"')
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


def refuse_anothers(path: Path) -> None:
    """BatchError for a journal that somebody else wrote: what it tells would be done in this user's name."""
    with writing(path):
        if is_anothers(path):
            raise BatchError(f"{path} was written by another user", "move it away to begin anew")


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


class _Line(NamedTuple):
    """number: from 1. end: where it ends in the file."""

    number: int
    text: bytes
    end: int

    def values(self) -> dict[str, Any]:
        """Raises ValueError."""
        values = json.loads(self.text)
        if not isinstance(values, dict):
            raise ValueError("not an object")
        return values


def _lines(path: Path) -> Iterator[_Line]:
    """Each whole line; the torn one that a kill left at the end is dropped."""
    end = 0
    with writing(path), read_own(path) as file:
        for number in itertools.count(1):
            text = file.readline(_MOST_BYTES)
            if not text.endswith(b"\n") and len(text) < _MOST_BYTES:
                if number == 1 and not _BEGINNING.startswith(text.rstrip(b"\0")[: len(_BEGINNING)]):
                    raise strange(path, str(path))
                return
            end += len(text)
            yield _Line(number, text, end)


@contextlib.contextmanager
def _understood(path: Path, line: _Line) -> Iterator[None]:
    try:
        yield
    except (ValueError, RecursionError) as error:
        raise strange(path, f"Line {line.number} of {path}") from error


def strange(path: Path, what: str) -> BatchError:
    """What is said of a journal, or of a part of it, that no run of this program can have written."""
    return BatchError(f"{what} is none that a run writes", "move it away to begin anew")
