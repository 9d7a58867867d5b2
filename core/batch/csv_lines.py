"""CSV rows as bytes."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from ..cells import csv_text


def csv_lines(rows: Iterable[Iterable[object]], formulas: bool = False) -> bytes:
    """In UTF-8; file names keep bytes that are none, and other halves of characters are told. formulas: see
    `csv_text`."""
    text = csv_text(rows, formulas)
    try:
        return text.encode("utf-8", sys.getfilesystemencodeerrors())
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace")
