"""errors.csv: the pictures that failed, each with its reason."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from ..errors import BatchError
from .append import AppendFile, replace_file, writing
from .csv_lines import csv_lines
from .items import Outcome

_HEADER = ("image", "error")


class FailureList:
    """Begins with `failures`; the file is there only while a picture has failed. part: the shard it is of, "" for the
    whole. Raises BatchError, also where a file of that name is not this program's."""

    def __init__(self, folder: Path, part: str, failures: Mapping[str, str]) -> None:
        self.path = path = folder / f"errors{part and '-'}{part}.csv"
        self._part = part
        self._standing = dict(failures)
        with writing(path):
            if path.exists() and not path.read_bytes().startswith(csv_lines([_HEADER])):
                raise BatchError(f"{path} is not a list of failures that a run wrote", "move it away")
        self._rewrite()

    def __len__(self) -> int:
        return len(self._standing)

    def take(self, outcome: Outcome) -> None:
        """A failure is in the file at once."""
        if outcome.result is not None:
            self._standing.pop(outcome.name, None)
            return
        self._standing[outcome.name] = outcome.error
        anew = not self.path.exists()
        with contextlib.closing(AppendFile(self.path, anew)) as file:
            file.append(csv_lines([_HEADER] if anew else []) + csv_lines([(outcome.name, outcome.error)]))

    def tidy(self) -> None:
        """Leaves what still stands, each once."""
        self._rewrite()

    def _rewrite(self) -> None:
        with writing(self.path):
            if self._standing:
                replace_file(self.path, csv_lines([_HEADER, *self._standing.items()]), self._part)
            else:
                self.path.unlink(missing_ok=True)
