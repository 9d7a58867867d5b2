"""Pictures that a file lists: a column of a CSV, JSONL or Parquet file."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ..errors import SettingsError
from .items import Item
from .remote import is_address, remote_item

COLUMNS = ("image", "path", "file", "file_name", "filename", "image_path", "file_path")
"""Names of the column with the paths, the first that there is."""

LIST_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")


class ListSource:
    """The pictures whose paths or addresses a list holds, relative to the list's folder where they are not absolute.

    Of a CSV or TSV file without a column of one of those names the first column is taken, from the first row on.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self.root = self._path.parent
        self.reads = (self._path,)
        readers: dict[str, Callable[[], Iterator[str]]] = {
            ".csv": self._from_table,
            ".tsv": self._from_table,
            ".jsonl": self._from_json_lines,
            ".ndjson": self._from_json_lines,
            ".parquet": self._from_parquet,
        }
        suffix = self._path.suffix.lower()
        if suffix not in readers:
            raise SettingsError(f"{path} is no list of pictures", f"give a file named {', '.join(LIST_SUFFIXES)}")
        self._read = readers[suffix]

    def __iter__(self) -> Iterator[Item]:
        try:
            for name in self._read():
                yield remote_item(name) if is_address(name) else Item(name, self.root / name)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SettingsError(f"The list {self._path} cannot be read ({error})") from error

    def _from_table(self) -> Iterator[str]:
        separator = "\t" if self._path.suffix.lower() == ".tsv" else ","
        with self._path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = (row for row in csv.reader(file, delimiter=separator) if row)
            first = next(rows, [])
            titles = [title.strip().lower() for title in first]
            column = next((titles.index(name) for name in COLUMNS if name in titles), None)
            if column is None:
                column = 0
                if first and first[0]:
                    yield first[0]
            for row in rows:
                if len(row) > column and row[column]:
                    yield row[column]

    def _from_json_lines(self) -> Iterator[str]:
        with self._path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield self._path_in(line, number)

    def _path_in(self, line: str, number: int) -> str:
        try:
            values = json.loads(line)
        except ValueError as error:
            raise SettingsError(f"Line {number} of {self._path} is no JSON ({error})") from error
        found = [values[name] for name in COLUMNS if values.get(name)] if isinstance(values, dict) else [values]
        if not found or not isinstance(found[0], str):
            raise SettingsError(f"Line {number} of {self._path} has no path", f"name it {' or '.join(COLUMNS)}")
        return found[0]

    def _from_parquet(self) -> Iterator[str]:
        from . import parquet

        parquet.check_package()
        return parquet.read_column(self._path, COLUMNS)
