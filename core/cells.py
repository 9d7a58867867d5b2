"""CSV as text: cells that read back as they are, and that no spreadsheet computes."""

from __future__ import annotations

import re
from collections.abc import Iterable

_COMPUTED = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")
"""What spreadsheets take for the beginning of a formula, or drop before one; also behind marks like ours, so that each
text is told from the others."""
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_QUOTED = re.compile(r'[,"\r\n]')
_MARK = "'"


def csv_text(rows: Iterable[Iterable[object]], formulas: bool = False) -> str:
    """As spreadsheets and Python read it. formulas: leaves cells as they are that a spreadsheet would compute; else
    they have a ' before them, which `true_text` takes away."""
    return "".join(f"{_line([_cell(value, formulas) for value in row])}\n" for row in rows)


def true_text(cell: str) -> str:
    """What was written into a cell that `csv_text` made."""
    return cell[1:] if cell.startswith(_MARK) and _is_computed(cell[1:]) else cell


def _is_computed(text: str) -> bool:
    return _COMPUTED.match(text) is not None and _NUMBER.fullmatch(text) is None


def _cell(value: object, formulas: bool) -> str:
    if not isinstance(value, str):
        return "" if value is None else str(value)
    return value if formulas or not _is_computed(value) else _MARK + value


def _line(cells: list[str]) -> str:
    if cells == [""]:
        return '""'  # an empty line would be no row
    # a bare carriage return splits a row for some readers, and csv.writer does not quote it
    return ",".join('"' + cell.replace('"', '""') + '"' if _QUOTED.search(cell) else cell for cell in cells)
