"""errors.csv: the pictures that failed, each with its reason and the output whose run it was."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import sys
from collections.abc import Mapping

from ..errors import BatchError
from ..files import read_own
from .append import AppendFile, replace_file, writing
from .csv_lines import csv_lines
from .items import Outcome
from .sinks import Sink

FAILURES = "errors.csv"
_HEADER = ("image", "error", "output")
_FIRST = csv_lines([_HEADER])
_EARLIER = csv_lines([_HEADER[:2]])  # when there was one run's list at a time
_MOST_BYTES = 2**28


class FailureList:
    """Begins with `failures`; a sink's rows are there only while one of its pictures has failed, the file while there
    are any rows. Those of other runs in the folder stay.

    part: the shard it is of, "" for the whole. Raises BatchError, also where a file of that name is not this
    program's."""

    def __init__(self, sink: Sink, part: str, failures: Mapping[str, str]) -> None:
        self.path = sink.place / (f"errors-{part}.csv" if part else FAILURES)
        self._part = part
        self._output, self._listed = sink.label, sink.listed
        self._standing = dict(failures)
        self._others = self._rows_of_others() if os.path.lexists(self.path) else []
        self._rewrite()

    def __len__(self) -> int:
        return len(self._standing)

    def take(self, outcome: Outcome) -> None:
        """A failure is in the file at once."""
        if outcome.result is not None:
            self._standing.pop(outcome.name, None)
            return
        self._standing[outcome.name] = outcome.error
        with contextlib.closing(AppendFile(self.path, anew=not os.path.lexists(self.path))) as file:
            first = b"" if file.size else _FIRST
            file.append(first + csv_lines([(self._listed(outcome.name), outcome.error, self._output)]))

    def tidy(self) -> None:
        """Leaves what still stands, each once."""
        self._rewrite()

    def _rows_of_others(self) -> list[list[str]]:
        """Of the whole rows: what a kill or a full disk left of a list is a list too."""
        with writing(self.path), read_own(self.path) as file:
            data = file.read(_MOST_BYTES + 1)
        if data.startswith(_EARLIER) or _FIRST.startswith(data):
            return []
        try:
            if not data.startswith(_FIRST) or len(data) > _MOST_BYTES:
                raise ValueError
            text = data[len(_FIRST) : data.rfind(b"\n") + 1].decode("utf-8", sys.getfilesystemencodeerrors())
            rows = csv.reader(io.StringIO(text, newline=""))
            return [row for row in rows if len(row) == len(_HEADER) and row[2] != self._output]
        except (ValueError, csv.Error) as error:
            raise BatchError(f"{self.path} is not a list of failures that a run wrote", "move it away") from error

    def _rewrite(self) -> None:
        own = ((self._listed(name), reason, self._output) for name, reason in self._standing.items())
        rows = [*self._others, *own]
        with writing(self.path):
            if rows:
                replace_file(self.path, csv_lines([_HEADER, *rows]), self._part)
            else:
                self.path.unlink(missing_ok=True)
