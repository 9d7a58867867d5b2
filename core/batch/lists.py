"""Pictures that a file lists: a column of a CSV, JSONL or Parquet file."""

from __future__ import annotations

import csv
import io
import json
import locale
import os
import re
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path, PureWindowsPath
from typing import TextIO

from ..cells import true_text
from ..errors import SettingsError, TextFileError
from ..texts import Coding, coding_of_file
from .items import Item
from .remote import Refused, is_address, listed_item

COLUMNS = ("image", "path", "file", "file_name", "filename", "image_path", "file_path")
"""Names of the column with the paths, the first that there is."""

LIST_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")

_SEPARATORS = (",", ";", "\t", "|")
_SAID = re.compile(r"sep=(.)\r?\n")  # a line by which spreadsheets know it
_HEAD = 2**16
_COPY = "copy the pictures to this machine, or the list to theirs"
_CODINGS = ("cp1252", "cp1251", "cp932", "gb18030", "big5", "euc_kr", "cp1250")
"""Which a list may be in where UTF-8 it is not. Whether a file of the name is there tells which it is."""


class ListSource:
    """The pictures whose paths or addresses a list holds, relative to the list's folder where they are not absolute.

    Of a CSV or TSV file without a column of one of those names the first column is taken, from the first row on. A text
    is read in its encoding; a CSV file's separator is the one that makes sense of its beginning.
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
                yield listed_item(name) if is_address(name) else self._item(name)
        except TextFileError as error:
            raise SettingsError(f"The list cannot be read: {error.problem}", *error.cures) from error
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise SettingsError(f"The list {self._path} cannot be read ({error})") from error

    def _item(self, name: str) -> Item:
        if os.name == "nt" and is_on_a_share(name) and not is_on_a_share(str(self.root.absolute())):
            return Refused(name, None, "Windows would show this user's password to another machine", _COPY)
        if "\0" in name or not _is_encodable(name):
            return Refused(name, None, "no file has such a name", "mend the list")
        if any("\udc80" <= letter <= "\udcff" for letter in name):
            name = self._in_another_coding(name)
        return Item(name, self.root / name)

    def _in_another_coding(self, name: str) -> str:
        """The name that its bytes are of a file that is there, or as it is."""
        if self._is_there(name):
            return name
        data = os.fsencode(name)
        for codec in (locale.getpreferredencoding(False), *_CODINGS):
            try:
                other = data.decode(codec)
            except UnicodeDecodeError:
                continue
            if self._is_there(other):
                return other
        return name

    def _is_there(self, name: str) -> bool:
        if os.name == "nt" and is_on_a_share(name):
            return False
        return os.path.exists(self.root / name)  # noqa: PTH110  unlike pathlib's, no error for what can be no name

    def _opened(self) -> TextIO:
        return self._path.open(encoding=_codec(coding_of_file(self._path)), errors="surrogateescape", newline="")

    def _from_table(self) -> Iterator[str]:
        usual = "\t" if self._path.suffix.lower() == ".tsv" else ","
        with self._opened() as file:
            head = file.read(_HEAD)
            said = _SAID.match(head)
            separator = said[1] if said else self._separator(head, usual)
            file.seek(0)
            rows = (row for row in csv.reader(islice(file, 1 if said else 0, None), delimiter=separator) if row)
            first = next(rows, [])
            column = _column(first)
            if column is None:
                column = 0
                if first and first[0]:
                    yield self._in_cell(first[0])
            for row in rows:
                if len(row) > column and row[column]:
                    yield self._in_cell(row[column])

    def _separator(self, head: str, usual: str) -> str:
        """The one by which the first row has a column of pictures, or begins with a picture."""
        separators = (usual, *(each for each in _SEPARATORS if each != usual))
        firsts = {each: _first_row(head, each) for each in separators}
        named = (each for each in separators if _column(firsts[each]) is not None)
        begun = (each for each in separators if self._is_picture(*firsts[each][:1]))
        return next(chain(named, begun), usual)

    def _is_picture(self, name: str = "") -> bool:
        return bool(name) and (is_address(name) or self._is_there(name))

    def _in_cell(self, cell: str) -> str:
        text = true_text(cell)
        return cell if text != cell and self._is_there(cell) and not self._is_there(text) else text

    def _from_json_lines(self) -> Iterator[str]:
        with self._opened() as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield self._path_in(line, number)

    def _path_in(self, line: str, number: int) -> str:
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SettingsError(f"Line {number} of {self._path} is no JSON ({error})") from error
        found = [values[name] for name in COLUMNS if values.get(name)] if isinstance(values, dict) else [values]
        if not found or not isinstance(found[0], str):
            raise SettingsError(f"Line {number} of {self._path} has no path", f"name it {' or '.join(COLUMNS)}")
        return found[0]

    def _from_parquet(self) -> Iterator[str]:
        from . import parquet

        parquet.check_package()
        return parquet.read_column(self._path, COLUMNS)


def is_on_a_share(name: str) -> bool:
    r"""Whether Windows finds a path on another machine (\\machine\share, and forms that lead to one)."""
    return PureWindowsPath(name).drive.startswith("\\\\")


def _is_encodable(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


def _first_row(head: str, separator: str) -> list[str]:
    return next((row for row in csv.reader(io.StringIO(head, newline=""), delimiter=separator) if row), [])


def _codec(coding: Coding) -> str:
    """By which a file is opened and read after its mark. Names in other encodings keep their bytes."""
    if coding.mark:
        return "utf-8-sig" if coding == Coding("utf-8", True) else coding.codec[:6]
    return coding.codec if coding.codec.startswith("utf-") else "utf-8"


def _column(titles: list[str]) -> int | None:
    known = [title.strip().lower() for title in titles]
    return next((known.index(name) for name in COLUMNS if name in known), None)
