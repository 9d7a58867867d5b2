"""Runs over many pictures: dry runs, chunks that are decoded ahead, hostile names, and one call for doors."""

from __future__ import annotations

import csv
import io
import os
import threading

import pytest
from batch_runs import QuickEngine, contents, draw
from batch_setting import StopsAfter, folder_fixture, run  # noqa: F401
from PIL import Image
from unrender.core.batch import (
    Batch,
    caption_folder,
    sink_named,
    source_named,
    undo,
)
from unrender.core.batch.ahead import CHUNK
from unrender.core.batch.renaming import UNDO_NAME
from unrender.core.cells import true_text
from unrender.core.errors import Cancelled, SettingsError


def test_a_dry_run_writes_nothing(folder):
    before = contents(folder)
    source = source_named([str(folder)])
    sink = sink_named("rename", source.root)
    found = Batch(QuickEngine(), source, sink, "fast", dry_run=True)
    shown = [sink.shown(outcome) for outcome in found if outcome.result]
    assert shown[:2] == ["a square, number 1.png", "a square, number 2.png"] and "a square, number 2 (2).png" in shown
    assert contents(folder) == before and not (folder / ".unrender").exists()


def test_hostile_names_come_through(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    names = ['"quoted".png', "new\nline.png", "\u202egnp.png", "a,b;c.png", "=1+1.png", "é" * 120 + ".png", " .png"]
    for name in [*names, os.fsdecode(b"\xff\xfe.png")]:
        try:
            Image.new("RGB", (8, 8)).save(folder / name, "png")
        except OSError:  # this file system takes no such name
            continue
    count = len(list(folder.iterdir()))
    for output in ("csv", "jsonl", "txt", "tar", "copy"):
        found, _ = run(folder, output, QuickEngine(words="x" * 300 + "\u202e{}"))
        assert (found.written, found.failed) == (count, 0), output
    rows = list(csv.reader(io.StringIO((folder / "desc.csv").read_text(errors="surrogateescape"), newline="")))
    assert {true_text(row[0]) for row in rows[1:]} == {path.name for path in folder.glob("*.png")}
    before = contents(folder)
    run(folder, "rename", QuickEngine(words="CON"))
    assert "_CON.png" in contents(folder)
    undo(folder / UNDO_NAME)
    assert contents(folder) == before


def test_chunks_are_decoded_ahead_and_looked_at_together(tmp_path):
    engine = QuickEngine()
    folder = draw(tmp_path / "pictures", 2 * CHUNK + 3)
    run(folder, engine=engine, jobs=3, existing="overwrite")
    assert engine.seen == [CHUNK, CHUNK, 3]
    assert not any(thread.name.startswith("unrender-decode") for thread in threading.enumerate())


def test_a_folder_is_captioned_in_one_call(folder):
    engine = QuickEngine()
    first = caption_folder(engine, folder, recursive=True)
    assert (first.written, first.skipped, first.failed, first.errors) == (6, 2, 1, folder / "errors.csv")
    (folder / "0001.txt").unlink()
    again = caption_folder(engine, folder, recursive=True)
    assert (again.written, again.skipped, again.failed) == (1, 7, 1)
    with pytest.raises(SettingsError, match="no pictures"):
        (folder / "empty").mkdir()
        caption_folder(engine, folder / "empty")
    with pytest.raises(SettingsError, match="no folder"):
        caption_folder(engine, folder / "nowhere")


def test_a_stopped_call_goes_on(tmp_path):
    folder = draw(tmp_path / "pictures", 40)
    with pytest.raises(Cancelled):
        caption_folder(QuickEngine(progress=StopsAfter(20)), folder, "best", "append")
    caption_folder(QuickEngine(), folder, "best", "append")
    texts = {path.name: path.read_text() for path in folder.glob("*.txt")}
    assert texts["0004.txt"] == "an old text, a square, number 4" and texts["0005.txt"] == "a square, number 0"
