"""The engine's progress: one line that is drawn anew on a terminal, and a plain line now and then elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderResult
from rich.filesize import decimal
from rich.live import Live
from rich.text import Text

from ..core.printable import visible
from ..core.progress import BYTES, SILENT, Progress

SHOWN_AFTER_SECONDS = 1.0
LINE_AFTER_SECONDS = 30.0
_RATED = "pictures"  # people plan their day by these
_WINDOW = 48
"""Pictures whose time tells the rate: the last ones, as many as three batches have, whose pictures come at once."""
_FEWEST = 3
_BAR, _LEAST_OF_BAR, _LEAST_OF_LABEL = 20, 8, 6


def terminal_progress(quiet: bool = False) -> Progress:
    """A line on standard error where that is a terminal, and one now and then where it is a file or a pipe."""
    if quiet:
        return SILENT
    return TerminalProgress(Console(stderr=True)) if sys.stderr.isatty() else PlainProgress(sys.stderr)


class Count:
    """How far one task is."""

    def __init__(self, label: str, total: int | None, unit: str, clock: Callable[[], float]) -> None:
        self.label, self.total, self.unit = " ".join(visible(label).split()), total, unit
        self.done = 0
        self._clock = clock
        self.begun = clock()
        self._times: deque[tuple[float, int]] = deque([(self.begun, 0)], maxlen=_WINDOW + 1)

    def advance(self, amount: int = 1) -> None:
        self.done += amount
        self._times.append((self._clock(), self.done))

    @property
    def seconds(self) -> float:
        return self._clock() - self.begun

    @property
    def rate(self) -> float | None:
        """A second, of the last of them; None where there are too few to tell."""
        (first, before), (last, after) = self._times[0], self._times[-1]
        if after - before < _FEWEST and self.unit != BYTES:
            return None
        return (after - before) / (last - first) if last > first else None

    @property
    def left(self) -> float | None:
        """Seconds until the end, from the rate and less what has gone by since it was known."""
        rate = self.rate
        if rate is None or not self.total:
            return None
        return max(0.0, (self.total - self.done) / rate - (self._clock() - self._times[-1][0]))

    @property
    def amount(self) -> str:
        """ "3 of 20 rounds", "1.2 GB of 1.7 GB", "60 of 900 pictures, 4.1 a second"."""
        shown = (lambda count: decimal(int(count))) if self.unit == BYTES else (lambda count: f"{count:,}")
        amount = f"{shown(self.done)} of {shown(self.total)}" if self.total else shown(self.done) if self.done else ""
        if self.unit == BYTES or not amount:
            return amount
        rate = f", {_rated(self.rate)}" if self.unit == _RATED and self.rate else ""
        return f"{amount} {self.unit}".rstrip() + rate

    @property
    def text(self) -> str:
        """All in words."""
        left = "" if self.left is None else f", {_duration(self.left)} left"
        return f"{self.label}: {self.amount}{left}" if self.amount else self.label


def _rated(rate: float) -> str:
    return f"{rate:,.1f} a second" if rate >= 0.1 else f"{60 * rate:,.1f} a minute"


def _duration(seconds: float) -> str:
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    return f"{seconds:.0f} s" if seconds < 90 else f"{minutes} min" if minutes < 90 else f"{hours} h"


def line_of(counts: Sequence[Count], width: int) -> str:
    """What is under way in so many columns: what counts pictures, else the innermost, and of the others what has
    room."""
    if not counts or width < 1:
        return ""
    main = next((count for count in counts if count.unit == _RATED), counts[-1])
    head = _fitting(main, width)
    shown = {id(main): head}
    used = cell_len(head)
    for count in reversed(counts):
        if count is not main and used + 3 + cell_len(count.text) <= width:
            shown[id(count)] = count.text
            used += 3 + cell_len(count.text)
    line = " · ".join(shown[id(count)] for count in counts if id(count) in shown)
    room = min(_BAR, width - used - 1)
    return f"{line} {_bar(main, room)}" if main.total and room >= _LEAST_OF_BAR else line


def _fitting(count: Count, width: int) -> str:
    """The label gives way to the numbers, which are what changes, and the rate to the time that is left."""
    if cell_len(count.text) <= width or not count.amount:
        return _cut(count.text, width)
    left = "" if count.left is None else f", {_duration(count.left)} left"
    bare = count.amount.partition(f" {count.unit}")[0] if count.unit != BYTES else count.amount
    for numbers in (f"{count.amount}{left}", f"{bare}{left}", bare):
        room = width - len(numbers) - 2
        if room >= _LEAST_OF_LABEL:
            return f"{_cut(count.label, room)}: {numbers}"
    return _cut(bare, width)


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"


def _bar(count: Count, width: int) -> str:
    full = round(width * min(1.0, count.done / (count.total or 1)))
    return "━" * full + "╌" * (width - full)


class _Counting(Progress):
    """Keeps what is under way; nothing of it is left when the last task ends."""

    clock: Callable[[], float] = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.counts: list[Count] = []

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "") -> Iterator[Count]:
        count = Count(label, total, unit, self.clock)
        self.counts = [*self.counts, count]
        if len(self.counts) == 1:
            self.begin()
        try:
            yield count
        finally:
            self.ended(count)
            self.counts = [each for each in self.counts if each is not count]
            if not self.counts:
                self.end()

    def begin(self) -> None:
        raise NotImplementedError

    def ended(self, count: Count) -> None:
        """While it is still among the others."""

    def end(self) -> None:
        raise NotImplementedError


class TerminalProgress(_Counting):
    """One line for what lasts; nothing is left on the screen when the last task ends."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._live: Live | None = None

    def begin(self) -> None:
        # results go to standard output, which may be a file
        self._live = Live(
            self, console=self._console, transient=True, redirect_stdout=False, refresh_per_second=10, screen=False
        )
        self._live.start()

    def ended(self, count: Count) -> None:
        if self._live is not None and len(self.counts) == 1:
            self._live.refresh()

    def end(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lasting = [count for count in self.counts if count.seconds >= SHOWN_AFTER_SECONDS]
        if lasting:  # the last column stays free, where some terminals begin a new line
            yield Text(line_of(lasting, options.max_width - 1), no_wrap=True, overflow="crop")


class PlainProgress(_Counting):
    """A line every half minute, for logs."""

    def __init__(self, stream: TextIO, seconds: float | None = None) -> None:
        super().__init__()
        self._stream = stream
        self._seconds = LINE_AFTER_SECONDS if seconds is None else seconds
        self._over = threading.Event()

    def begin(self) -> None:
        self._over = threading.Event()
        threading.Thread(target=self._tell, args=(self._over,), daemon=True).start()

    def end(self) -> None:
        self._over.set()

    def _tell(self, over: threading.Event) -> None:
        while not over.wait(self._seconds):
            line = " · ".join(count.text for count in self.counts)
            if line:
                self._stream.write(f"unrender: {line}\n")
                self._stream.flush()
