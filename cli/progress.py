"""The engine's progress as bars on a terminal, drawn by rich."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console, RenderableType
from rich.filesize import decimal
from rich.progress import BarColumn, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from ..core.printable import visible
from ..core.progress import SILENT, Progress

if TYPE_CHECKING:
    from rich.progress import Task, TaskID

SHOWN_AFTER_SECONDS = 1.0
_RATED = "pictures"  # people plan their day by these


def terminal_progress(quiet: bool = False) -> Progress:
    """Bars when standard error is a terminal, otherwise nothing."""
    return SILENT if quiet or not sys.stderr.isatty() else TerminalProgress(Console(stderr=True))


class TerminalProgress(Progress):
    """Draws a bar for every task that lasts; nothing is left on the screen when the last one ends."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: _Bars | None = None
        self._open = 0

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "") -> Iterator[_Bar]:
        if self._bars is None:
            self._bars = _Bars(self._console)
            self._bars.start()
        bars = self._bars
        self._open += 1
        identity = bars.add_task(visible(label), total=total, unit=unit)
        try:
            yield _Bar(bars, identity)
        finally:
            bars.remove_task(identity)
            self._open -= 1
            if self._open == 0:
                bars.stop()
                self._bars = None


class _Bar:
    def __init__(self, bars: _Bars, identity: TaskID) -> None:
        self._bars = bars
        self._identity = identity

    def advance(self, amount: int = 1) -> None:
        self._bars.advance(self._identity, amount)


class _Bars(RichProgress):
    def __init__(self, console: Console) -> None:
        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            _Amount(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            redirect_stdout=False,  # results go to standard output, which may be a file
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        lasting = [task for task in self.tasks if (task.elapsed or 0.0) >= SHOWN_AFTER_SECONDS]
        if lasting:
            yield self.make_tasks_table(lasting)


class _Amount(ProgressColumn):
    """How far a task is: "3 of 20 rounds", "1.2 GB of 1.7 GB", "60 of 900 pictures, 4.1 a second"."""

    def render(self, task: Task) -> Text:
        unit = task.fields["unit"]
        in_bytes = unit == "B"
        done, total = (
            decimal(int(count)) if in_bytes and count is not None else f"{count:,.0f}" if count is not None else ""
            for count in (task.completed, task.total)
        )
        amount = f"{done} of {total}" if total else done if task.completed else ""
        rate = f", {task.speed:,.1f} a second" if unit == _RATED and task.speed else ""
        return Text(amount if in_bytes or not amount else f"{amount} {unit}".rstrip() + rate)
