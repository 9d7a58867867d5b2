"""How likelihoods are printed: as tables to read, and as CSV."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from ..core.cells import csv_text
from ..core.printable import visible
from .streams import write_line

Row = tuple[float, float, str]
"""likelihood 0..1, similarity, text"""


def write_heading(text: str, remark: str = "") -> None:
    """A line that stands out on a terminal."""
    console = _console()
    if console is None:
        write_line(f"{text}  {remark}".rstrip())
        return
    console.print(visible(text), style="bold", markup=False, soft_wrap=True, end="  " if remark else "\n")
    if remark:
        write_remark(remark)


def write_remark(text: str) -> None:
    """A line of less weight."""
    console = _console()
    if console is None:
        write_line(text)
    else:
        console.print(visible(text), style="dim", markup=False, soft_wrap=True)


def write_rows(rows: Iterable[Row]) -> None:
    """Likelihood in percent, similarity, and the text last, so that its length disturbs no column."""
    _write_each(f"{likelihood:8.1%}  {similarity:6.3f}  {_line(text)}" for likelihood, similarity, text in rows)


def write_supported(rows: Iterable[Row]) -> None:
    """Likelihood in percent, support in deviations, and the text."""
    _write_each(f"{likelihood:8.1%}  {support:+6.1f}  {_line(text)}" for likelihood, support, text in rows)


def write_confidences(rows: Iterable[tuple[float, str]]) -> None:
    """Of tags, in percent."""
    _write_each(f"{confidence:8.1%}  {_line(text)}" for confidence, text in rows)


def _line(text: str) -> str:
    return " ".join(text.split())


def _write_each(lines: Iterable[str]) -> None:
    console = _console()
    for line in lines:
        if console is None:
            write_line(line)
        else:
            console.print(visible(line), markup=False, soft_wrap=True)


def add_formulas_to(parser: argparse._ActionsContainer) -> None:
    """The option of commands that write CSV."""
    parser.add_argument(
        "--formulas",
        action="store_true",
        help="in CSV, leave cells that begin with = + - @ as they are (default: a ' before them, since spreadsheets "
        "compute them)",
    )


def write_csv(rows: Iterable[Sequence[Any]], formulas: bool) -> None:
    text = csv_text(rows, formulas)
    sys.stdout.write(visible(text, "\n\t") if sys.stdout.isatty() else text)
    sys.stdout.flush()


def _console() -> Any:
    if not sys.stdout.isatty():
        return None
    from rich.console import Console

    return Console(highlight=False)
