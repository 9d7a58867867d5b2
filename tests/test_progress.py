"""What is said of work under way: one line at any width, its rate and its time left, plain lines in a log, and searches
that end where they said they would."""

from __future__ import annotations

import io
import random
import re
import time
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from unrender.cli import progress
from unrender.cli.progress import Count, PlainProgress, TerminalProgress, line_of
from unrender.core.engine import Engine
from unrender.core.micro.drawing import draw
from unrender.core.micro.world import random_scene
from unrender.core.progress import Progress, steps
from unrender.core.settings import Settings


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def count_of(gaps, total=1000, unit="pictures"):
    """A task of steps that took these seconds each."""
    clock = Clock()
    count = Count("Describing pictures", total, unit, clock)
    for gap in gaps:
        clock.now += gap
        count.advance()
    return count, clock


def test_the_rate_is_that_of_the_last_pictures():
    slow_start, _ = count_of([300.0] + [2.0] * 60)
    assert slow_start.rate == pytest.approx(0.5) and slow_start.left == pytest.approx((1000 - 61) * 2.0)
    slower, _ = count_of([1.0] * 200 + [4.0] * 60)
    assert slower.rate == pytest.approx(0.25)


def test_batches_do_not_shake_the_rate():
    """Sixteen pictures at once, every 32 seconds: half a picture a second, wherever it is looked at."""
    seen = []
    clock = Clock()
    count = Count("Describing pictures", 1000, "pictures", clock)
    for number in range(160):
        clock.now += 32.0 if number % 16 == 0 else 0.001
        count.advance()
        if number > 64:
            seen.append(count.rate)
    assert min(seen) > 0.35 and max(seen) < 0.8


def test_waiting_runs_the_time_left_down_and_never_below_nothing():
    count, clock = count_of([2.0] * 10, total=20)
    before = count.left
    clock.now += 5
    assert count.left == pytest.approx(before - 5)
    clock.now += 1000
    assert count.left == 0


def test_too_few_pictures_tell_no_rate():
    count, _ = count_of([1.0, 1.0])
    assert count.rate is None and count.left is None and count.text == "Describing pictures: 2 of 1,000 pictures"


labels = st.text("abc 図画像のß🌟é", min_size=1, max_size=80)
tasks = st.tuples(labels, st.sampled_from([None, 1, 900, 10**9]), st.sampled_from(["", "pictures", "phrases", "B"]))


@settings(max_examples=400, deadline=None)
@given(st.lists(tasks, min_size=1, max_size=4), st.integers(1, 130), st.integers(0, 70))
def test_there_is_one_line_at_any_width(named, width, done):
    counts = []
    for label, total, unit in named:
        count, _ = count_of([1.5] * (done if total is None else min(done, total)), total, unit)
        count.label = " ".join(label.split())
        counts.append(count)
    line = line_of(counts, width)
    assert "\n" not in line and cell_len(line) <= width


def test_numbers_outlast_the_label_on_a_narrow_terminal():
    count, _ = count_of([2.0] * 60, 900)
    line = line_of([count], 39)
    assert "60 of 900" in line and "left" in line
    assert "━" in line_of([count], 100) and "Describing pictures: 60 of 900" in line_of([count], 100)


def test_a_terminal_shows_one_line_for_what_is_nested(monkeypatch):
    monkeypatch.setattr(progress, "SHOWN_AFTER_SECONDS", 0.0)
    terminal = Console(file=io.StringIO(), force_terminal=True, width=40)
    bars = TerminalProgress(terminal)
    with (
        bars.task("Describing 図図図図図図図図図図図図", 900, "pictures") as outer,
        bars.task("Searching", 9, "phrases"),
    ):
        outer.advance(60)
        time.sleep(0.3)
    drawn = terminal.file.getvalue()
    assert "60 of 900" in drawn
    assert "\x1b[1A" not in drawn, "it went up a line to draw again, so there were two"


def test_a_log_gets_a_line_now_and_then():
    stream, started = io.StringIO(), time.monotonic()
    with PlainProgress(stream, 0.1).task("Describing pictures", 9, "pictures") as task:
        task.advance(4)
        while stream.getvalue().count("\n") < 3 and time.monotonic() - started < 60:
            time.sleep(0.01)
    lines = stream.getvalue().splitlines()
    assert 3 <= len(lines) <= (time.monotonic() - started) / 0.1
    said = r"unrender: Describing pictures: 4 of 9 pictures, [\d.,]+ a (second|minute), \d+ s left"
    assert re.fullmatch(said, lines[0])
    assert progress.LINE_AFTER_SECONDS == 30.0


def test_a_short_task_leaves_a_log_empty():
    stream = io.StringIO()
    with PlainProgress(stream).task("Describing pictures", 9, "pictures"):
        pass
    assert stream.getvalue() == ""


class Heard(Progress):
    def __init__(self):
        self.tasks = []

    @contextmanager
    def task(self, label, total=None, unit=""):
        told = [0]
        self.tasks.append((label, total, told))

        class Task:
            def advance(self, amount=1):
                assert amount >= 0
                told.append(told[-1] + amount)

        yield Task()


@pytest.mark.parametrize("search", ["peer", "beam"])
def test_a_search_is_one_task_that_ends_at_its_total(search):
    heard = Heard()
    with Engine(Settings(clip="micro", captioner="micro", search=search, device="cpu"), progress=heard) as engine:
        for seed in range(3):
            engine.interrogate(draw(random_scene(random.Random(seed)), seed)[0])
    labels = [label for label, _, _ in heard.tasks]
    assert labels[:2] == ["Loading the CLIP micro", "Loading the describer micro"]
    searches = [(total, told) for label, total, told in heard.tasks if label == "Searching"]
    assert len(searches) == 3
    for total, told in searches:
        assert told[-1] == total and told == sorted(told)


def test_a_stopped_task_does_not_claim_to_be_done():
    heard = Heard()
    with pytest.raises(ValueError, match="odd"), steps(heard, "Searching", 9) as task:
        task.advance()
        raise ValueError("odd")
    assert heard.tasks[0][2][-1] == 1
