"""CSV rows as bytes."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable


def csv_lines(rows: Iterable[Iterable[object]]) -> bytes:
    """As spreadsheets and Python read them, in UTF-8; file names keep bytes that are none."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8", sys.getfilesystemencodeerrors())
