"""What the command line draws: bars on a terminal, and the demo's contact sheet."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from rich.console import Console
from unrender.cli import progress
from unrender.cli.sheet import MARGIN, PICTURE_SIZE, TEXT_SIZE, WIDTH, Card, Entry, draw_sheet
from unrender.core.drawing.lettering import text_length, wrap
from unrender.core.drawing.paper import PAPER, at_size
from unrender.core.progress import SILENT

# Bars


@pytest.fixture
def terminal(monkeypatch):
    """A terminal that shows bars at once."""
    monkeypatch.setattr(progress, "SHOWN_AFTER_SECONDS", 0.0)
    return Console(file=io.StringIO(), force_terminal=True, width=100)


def test_nothing_is_drawn_where_it_is_no_terminal(monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert isinstance(progress.terminal_progress(), progress.PlainProgress)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert progress.terminal_progress(quiet=True) is SILENT
    assert progress.terminal_progress() is not SILENT


def test_bars_show_label_and_amount(terminal):
    bars = progress.TerminalProgress(terminal)
    with bars.task("Rounds [of search]", 5, "rounds") as rounds, bars.task("Downloading", 2_000_000, "B") as bytes_:
        rounds.advance(2)
        bytes_.advance(500_000)
        time.sleep(0.3)  # bars are drawn ten times a second
    drawn = terminal.file.getvalue()
    assert "Rounds [of search]" in drawn
    assert "2 of 5 rounds" in drawn
    assert "500.0 kB of 2.0 MB" in drawn


def test_short_tasks_are_not_drawn(terminal, monkeypatch):
    monkeypatch.setattr(progress, "SHOWN_AFTER_SECONDS", 60.0)
    with progress.TerminalProgress(terminal).task("Blink", 1) as blink:
        blink.advance()
    assert "Blink" not in terminal.file.getvalue()


def test_a_failure_leaves_no_bar_behind(terminal):
    bars = progress.TerminalProgress(terminal)
    with pytest.raises(ValueError, match="odd"), bars.task("First"), bars.task("Second"):
        raise ValueError("odd")
    terminal.file.truncate(0)
    with bars.task("Third", 1) as third:
        third.advance()
    assert "First" not in terminal.file.getvalue()
    assert "Third" in terminal.file.getvalue()


# Contact sheet


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(codec="latin-1", categories=["L", "N", "P", "Zs"]), max_size=300), st.integers(40, 600))
def test_wrapped_lines_fit_and_lose_nothing(text, width):
    lines = wrap(text, width, TEXT_SIZE)
    assert all(text_length(line, TEXT_SIZE) <= width or len(line) == 1 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_words_stay_whole_where_they_fit():
    text = "three orange triangles on white paper, a pencil sketch, by mira sol"
    lines = wrap(text, 200, TEXT_SIZE)
    assert len(lines) > 1
    assert " ".join(lines) == text


def test_the_sheet_grows_with_its_text_and_keeps_its_margins():
    picture = Image.new("RGB", (64, 64), "navy")
    short = Card(picture, (Entry("truth", "a square", accented=True),))
    endless = Card(picture, (Entry("truth", "a square", accented=True), Entry("best", "w" * 3000 + " and words" * 80)))
    sheet = draw_sheet("Title", "A note. " * 40, [short, endless])
    assert sheet.width == WIDTH
    assert sheet.height > draw_sheet("Title", "A note. " * 40, [short, short]).height + 500
    pixels = np.asarray(sheet)
    paper = np.array(PAPER)
    assert (pixels[:, : MARGIN - 1] == paper).all()
    assert (pixels[:, WIDTH - MARGIN + 1 :] == paper).all()
    assert (pixels[-4:] == paper).all()


def test_a_small_picture_is_enlarged_without_new_colours():
    picture = Image.new("RGB", (2, 1), "red")
    picture.putpixel((1, 0), (0, 0, 255))
    large = at_size(picture, PICTURE_SIZE)
    assert large.size == (PICTURE_SIZE, PICTURE_SIZE // 2)
    assert {colour for _, colour in large.getcolors() or []} == {(255, 0, 0), (0, 0, 255)}


def test_a_terminal_tells_the_likeliest_rating_apart_from_the_tags():
    from unrender.cli.output import _beside
    from unrender.core.results import Interrogation
    from unrender.core.tags import Tag

    tags = (Tag("solo", 0.9, "general"), Tag("general", 0.7, "rating"), Tag("explicit", 0.2, "rating"))
    assert _beside(Interrogation("solo", None, "tags", "", (), "some", 1.0, tags=tags)) == [
        "tags: solo 0.90\nrating: general 0.70\n"
    ]
