"""One file for all pictures: a row each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..cures import Choose, Give, Take
from ..errors import BatchError
from .append import AppendFile
from .columns import Column
from .csv_lines import csv_lines
from .items import Item, Outcome
from .journal import outcomes
from .sinks import Chosen, Sink
from .template import Template


class TableSink(Sink):
    """A file that grows by a row for each picture. replace: whether one that is there may be overwritten."""

    where = "file"
    ways = ("overwrite",)

    def __init__(self, path: Path, replace: bool = False) -> None:
        super().__init__(path.parent, path.name)
        self.path = path
        self._replace = replace
        self._file: AppendFile | None = None

    def header(self) -> bytes:
        return b""

    def row(self, outcome: Outcome) -> bytes:
        """For an outcome with a result."""
        raise NotImplementedError

    def make_way(self, items: Sequence[Item]) -> None:
        refuse_existing(self.path, self._replace)

    def start(self) -> None:
        self._file = AppendFile(self.path, anew=True)
        self._file.append(self.header())

    def restore(self, state: Mapping[str, Any]) -> None:
        if not self.path.exists():
            problem = f"{self.path}, which the run wrote, is gone"
            raise BatchError(problem, "bring it back", f"move {self.journal} away")
        self._file = AppendFile(self.path, anew=False)
        self._file.truncate(state["size"])

    def write(self, item: Item, outcome: Outcome) -> None:
        self._open.append(self.row(outcome))

    def state(self) -> Mapping[str, Any]:
        self._open.sync()
        return {"size": self._open.size}

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    @property
    def _open(self) -> AppendFile:
        assert self._file is not None, "start or restore comes first"
        return self._file


class CsvSink(TableSink):
    """The columns image and prompt, or what a template makes of it."""

    output = "csv"
    summary = "one CSV file"
    details = "a row for each picture, with image and prompt"

    def __init__(self, path: Path, replace: bool = False, template: Template | None = None) -> None:
        super().__init__(path, replace)
        self._template = template or Template()

    @classmethod
    def of(cls, chosen: Chosen) -> CsvSink:
        return cls(chosen.place, chosen.existing == "overwrite", chosen.template)

    @property
    def asked(self) -> Mapping[str, Any]:
        return {"template": self._template.text}

    def header(self) -> bytes:
        return csv_lines([("image", "prompt")])

    def row(self, outcome: Outcome) -> bytes:
        return csv_lines([(outcome.name, self._template.fill(outcome))])


class JsonLinesSink(TableSink):
    """An object a line with all that was found, and further columns."""

    output = "jsonl"
    summary = "one JSON Lines file"
    details = "a line for each picture, with all that was found"
    takes_columns = True

    def __init__(self, path: Path, replace: bool = False, columns: Sequence[Column] = ()) -> None:
        super().__init__(path, replace)
        self.columns = columns

    @classmethod
    def of(cls, chosen: Chosen) -> JsonLinesSink:
        return cls(chosen.place, chosen.existing == "overwrite", chosen.columns)

    @property
    def asked(self) -> Mapping[str, Any]:
        return _asked(self.columns)

    def row(self, outcome: Outcome) -> bytes:
        # escaped as JSON allows: file names may hold characters that no encoding has
        return json.dumps(row_values(outcome)).encode("ascii") + b"\n"


class ParquetSink(Sink):
    """All that was found, and further columns, as one Parquet file at the end of the run; until then it is in the run's
    journal.

    Needs pyarrow. replace: whether a file that is there may be overwritten."""

    output = "parquet"
    summary = "one Parquet file"
    details = "a row for each picture, with all that was found"
    where = "file"
    ways = ("overwrite",)
    takes_columns = True

    def __init__(self, path: Path, replace: bool = False, columns: Sequence[Column] = ()) -> None:
        super().__init__(path.parent, path.name)
        self.path = path
        self.columns = columns
        self._replace = replace

    @classmethod
    def of(cls, chosen: Chosen) -> ParquetSink:
        return cls(chosen.place, chosen.existing == "overwrite", chosen.columns)

    @property
    def asked(self) -> Mapping[str, Any]:
        return _asked(self.columns)

    def make_way(self, items: Sequence[Item]) -> None:
        from . import parquet

        parquet.check_package()
        refuse_existing(self.path, self._replace)

    def write(self, item: Item, outcome: Outcome) -> None:
        """Once the run is done."""

    def finish(self) -> None:
        from . import parquet

        found = (row_values(outcome) for outcome in outcomes(self.journal) if outcome.result)
        parquet.write(self.path, found, self.columns)


def row_values(outcome: Outcome) -> dict[str, Any]:
    """An outcome's columns, in JSON's types."""
    return {name: value for name, value in outcome.to_dict().items() if name != "plan"}


def _asked(columns: Sequence[Column]) -> Mapping[str, Any]:
    return {"columns": list(columns)} if columns else {}


def refuse_existing(path: Path, replace: bool) -> None:
    if path.exists() and not replace:
        raise BatchError(f"{path} is there already", Take("resume"), Choose("existing", ("overwrite",)), Give("place"))
