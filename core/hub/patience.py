"""How long a hub is waited for: counted from the last byte, and as long as it asks for itself."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

from .failures import Unreachable

LONGEST_TOLD = 330.0
"""A hub counts its requests in windows of five minutes; one that asks for more time than that means another day."""
_FIRST_WAIT, _LONGEST_WAIT = 1 / 16, 4.0
_TRIES_BEFORE, _TRIES_AFTER = 4, 7
_TIMES_TOLD = 3
_SHORTEST_TOLD = 1.0  # who says "at once" and refuses again has not thought of it
_STALLED = 10.0


class Patience:
    """How long one file, or one answer, is waited for.

    seconds: without any answer at the beginning; the rest is a multiple of it, so that at the usual eight seconds a
    download that had begun is given up two minutes after its last byte. obliging: whether waits of minutes that a hub
    asks for are waited; otherwise none that is longer than `seconds`.
    """

    def __init__(self, seconds: float, obliging: bool = True) -> None:
        self.seconds = seconds
        self._longest_told = LONGEST_TOLD if obliging else seconds
        self.begin()

    def begin(self) -> None:
        """Something new is asked for."""
        self._reached = self._tries = self._told = 0
        self._last_byte = time.monotonic()
        self.ask()

    def ask(self) -> None:
        """It is asked for, once more perhaps."""
        self._limit = self.seconds
        self.touch()

    def touch(self) -> None:
        """Something goes on, here or there, that is no byte of what was asked for."""
        self._touched = time.monotonic()

    def deliver(self, reached: int) -> None:
        """Bytes of it came, and so many are there now. Those that had come before are no news, once it began anew."""
        self.touch()
        self._limit = _STALLED * self.seconds  # the connection itself is broken off after `seconds` without a byte
        if reached > self._reached:
            self._reached, self._last_byte = reached, self._touched
            self._tries = self._told = 0

    @property
    def stalled_for(self) -> float:
        """Seconds since the last new byte of what had begun to come; 0 of what had not."""
        return time.monotonic() - self._last_byte if self._reached else 0.0

    @property
    def is_over(self) -> bool:
        return time.monotonic() - self._touched > self._limit

    def wait_after(self, error: Unreachable) -> float | None:
        """Seconds until it makes sense to ask again; None: it makes none."""
        if error.told_wait is not None and error.told_wait >= _SHORTEST_TOLD:
            self._told += 1
            return error.told_wait if error.told_wait <= self._longest_told and self._told <= _TIMES_TOLD else None
        passes = error.passes or (error.may_pass and self._reached > 0)
        if not passes or self._tries >= (_TRIES_AFTER if self._reached else _TRIES_BEFORE):
            return None
        self._tries += 1
        return self.seconds * min(_FIRST_WAIT * 2 ** (self._tries - 1), _LONGEST_WAIT)


def told_wait(headers: Mapping[str, str]) -> float | None:
    """The seconds that an answer asks to wait for, by Retry-After (a number or a date) or the hub's own RateLimit."""
    told = (headers.get("Retry-After") or "").strip()
    if seconds := re.fullmatch(r"(\d+(?:\.\d+)?)(?:\s*,.*)?", told):  # the first of several that a proxy has joined
        return min(float(seconds[1]), 1e9)
    then = _date(told)
    if then is not None:
        now = _date(headers.get("Date") or "") or datetime.now(timezone.utc)  # its clock may be another
        return max(0.0, (then - now).total_seconds())
    used_up = re.search(r";\s*r=0\s*;\s*t=(\d+)", headers.get("RateLimit") or "")
    return float(used_up.group(1)) if used_up else None


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        date = _iso_date(text)
    if date is None:
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)


def _iso_date(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
