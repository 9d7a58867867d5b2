"""One file for all pictures: a row each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from ..cures import Choose, Give, Take
from ..errors import BatchError
from ..prompt_syntax import escape_for_wildcards
from .ahead import with_first
from .append import HIDDEN
from .columns import COLUMNS, TAG_COLUMNS, Column, told_by_tags
from .csv_lines import csv_lines
from .growing import GrowingTable, begins_with, kept_beside, state_of
from .items import Item, Outcome
from .journal import outcomes
from .sinks import Chosen, Sink
from .template import Template


class TableSink(Sink):
    """A file that grows by a row for each picture. replace: whether one that is there may be overwritten: it is, as a
    whole, when the new one is complete.

    ending: what comes after the last row."""

    where = "file"
    ways = ("overwrite",)
    ending = b""

    def __init__(self, path: Path, replace: bool = False) -> None:
        super().__init__(path.parent, path.name)
        self.path = path
        self._replace = replace
        self._beside = path.parent / HIDDEN / f"{path.name}.new"
        self._table: GrowingTable | None = None

    def header(self) -> bytes:
        return b""

    def row(self, outcome: Outcome) -> bytes:
        """For an outcome with a result."""
        raise NotImplementedError

    def rows(self, item: Item, outcome: Outcome) -> bytes:
        """What `write` appends. Raises OSError."""
        return self.row(outcome)

    def make_way(self, items: Sequence[Item]) -> None:
        refuse_existing(self.path, self._replace)

    def start(self) -> None:
        self._table = GrowingTable(self._beside if self.path.exists() else self.path)
        self._table.append(self.header())

    def restore(self, state: Mapping[str, Any]) -> None:
        self._table = GrowingTable(self._left_at(state), state["size"])

    def is_as_left(self, state: Mapping[str, Any], pending: Iterable[tuple[Item, Outcome]]) -> bool:
        path = self._left_at(state)
        if not path.exists():
            problem = f"{path}, which the run wrote, is gone"
            raise BatchError(problem, "bring it back", f"move {self.journal} away")
        rows = (self.rows(item, outcome) for item, outcome in pending)
        return begins_with(path, state["size"], state.get("digest", ""), chain(rows, [self.ending]))

    def set_aside(self) -> Path:
        return kept_beside(self.path)

    def write(self, item: Item, outcome: Outcome) -> None:
        self._open.append(self.rows(item, outcome))

    def state(self) -> Mapping[str, Any]:
        """As it was before what ends it, where a later run goes on."""
        state = self._open.state()
        return state if self._open.path == self.path else {**state, "beside": True}

    def finish(self) -> str:
        beside = self._open.path != self.path
        if beside and self._open.state()["size"] <= len(self.header()):
            return left_alone(self.path)
        self._open.end(self.ending)
        if beside:
            self._open.become(self.path)
        return ""

    def close(self) -> None:
        if self._table is not None:
            self._table.close()

    def _left_at(self, state: Mapping[str, Any]) -> Path:
        """The new one that has not replaced an old one yet, or else the table itself."""
        return self._beside if state.get("beside") and self._beside.exists() else self.path

    @property
    def _open(self) -> GrowingTable:
        assert self._table is not None, "start or restore comes first"
        return self._table


class CsvSink(TableSink):
    """The columns image and prompt, or what a template makes of it. formulas: see `csv_text`."""

    output = "csv"
    summary = "one CSV file"
    details = "a row for each picture, with image and prompt"
    takes_columns = TAG_COLUMNS

    def __init__(
        self,
        path: Path,
        replace: bool = False,
        template: Template | None = None,
        formulas: bool = False,
        columns: Sequence[Column] = (),
    ) -> None:
        super().__init__(path, replace)
        self._template = template or Template()
        self._formulas = formulas
        self.columns = columns

    @classmethod
    def of(cls, chosen: Chosen) -> CsvSink:
        return cls(chosen.place, chosen.existing == "overwrite", chosen.template, chosen.formulas, chosen.columns)

    @property
    def asked(self) -> Mapping[str, Any]:
        formulas = {"formulas": True} if self._formulas else {}
        return {"template": self._template.text, **formulas, **_asked(self.columns)}

    def header(self) -> bytes:
        return csv_lines([("image", "prompt", *self.columns)])

    def row(self, outcome: Outcome) -> bytes:
        assert outcome.result is not None
        told = told_by_tags(outcome.result)
        further = (told[name] for name in self.columns)
        return csv_lines([(self.listed(outcome.name), self._template.fill(outcome), *further)], self._formulas)


class JsonLinesSink(TableSink):
    """An object a line with all that was found, and further columns."""

    output = "jsonl"
    summary = "one JSON Lines file"
    details = "a line for each picture, with all that was found"
    takes_columns = COLUMNS

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
        return json.dumps(row_values(self, outcome)).encode("ascii") + b"\n"


class WildcardSink(TableSink):
    """A prompt a line, of which an extension for webuis (dynamic prompts) draws one for each picture it makes."""

    output = "wildcard"
    summary = "one text file of prompts, for a webui's wildcards"
    details = "a prompt a line, to be put into a webui's folder of wildcards"
    file = "wildcard.txt"

    def __init__(self, path: Path, replace: bool = False, template: Template | None = None) -> None:
        super().__init__(path, replace)
        self._template = template or Template()

    @classmethod
    def of(cls, chosen: Chosen) -> WildcardSink:
        return cls(chosen.place, chosen.existing == "overwrite", chosen.template)

    @property
    def asked(self) -> Mapping[str, Any]:
        return {"template": self._template.text}

    def row(self, outcome: Outcome) -> bytes:
        # a line end inside, which a template has none of, would be another prompt
        return f"{escape_for_wildcards(self._template.fill(outcome))}\n".encode("utf-8", "replace")


class ParquetSink(Sink):
    """All that was found, and further columns, as one Parquet file at the end of the run; until then it is in the run's
    journal.

    Needs pyarrow. replace: whether a file that is there may be overwritten."""

    output = "parquet"
    summary = "one Parquet file"
    details = "a row for each picture, with all that was found"
    where = "file"
    ways = ("overwrite",)
    takes_columns = COLUMNS

    def __init__(self, path: Path, replace: bool = False, columns: Sequence[Column] = ()) -> None:
        super().__init__(path.parent, path.name)
        self.path = path
        self.columns = columns
        self._replace = replace
        self._written: Mapping[str, Any] = {}

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

    def restore(self, state: Mapping[str, Any]) -> None:
        self._written = dict(state)

    def is_as_left(self, state: Mapping[str, Any], pending: Iterable[tuple[Item, Outcome]]) -> bool:
        return not state or not self.path.exists() or begins_with(self.path, state["size"], state["digest"], ())

    def set_aside(self) -> Path:
        return kept_beside(self.path)

    def write(self, item: Item, outcome: Outcome) -> None:
        """Once the run is done."""

    def state(self) -> Mapping[str, Any]:
        return self._written

    def finish(self) -> str:
        from . import parquet

        found = with_first(row_values(self, outcome) for outcome in outcomes(self.journal) if outcome.result)
        if found is None and self.path.exists():
            return left_alone(self.path)
        parquet.write(self.path, found or (), self.columns)
        self._written = state_of(self.path)
        return ""


def row_values(sink: Sink, outcome: Outcome) -> dict[str, Any]:
    """An outcome's columns, in JSON's types."""
    values = {name: value for name, value in outcome.to_dict().items() if name != "plan"}
    values["image"] = sink.listed(outcome.name)
    if outcome.result is None or not sink.needs_tags:
        return values
    told = told_by_tags(outcome.result)
    if "tags" in sink.columns:
        values.setdefault("tags", [])
    return {**values, **{name: told[name] for name in sink.columns if name in ("characters", "rating")}}


def _asked(columns: Sequence[Column]) -> Mapping[str, Any]:
    return {"columns": list(columns)} if columns else {}


def left_alone(path: Path) -> str:
    """What is told of a table that was to be replaced, by a run that came to no result."""
    return f"{path} is left as it was, because nothing was found that could replace it."


def refuse_existing(path: Path, replace: bool) -> None:
    if path.exists() and not replace:
        raise BatchError(f"{path} is there already", Take("resume"), Choose("existing", ("overwrite",)), Give("place"))
