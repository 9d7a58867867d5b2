"""A disk that is full from any step of a run on: once there is room, the run goes on and leaves what others leave."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from batch_runs import KINDS, contents, draw, run_kind
from unrender.core.batch import undo
from unrender.core.batch.renaming import UNDO_NAME
from unrender.core.errors import UnrenderError

STEPS = ((os, "write"), (os, "open"), (Path, "rename"), (Path, "replace"), (Path, "mkdir"), (os, "fsync"))
"""What needs room: also names, in a folder that has to grow."""


class FullDisk:
    """Is full from a step on, half of which is done still where it writes. once: for that step alone."""

    def __init__(self, patch, step, once):
        self._step, self._once, self.steps = step, once, 0
        for owner, name in STEPS:
            patch.setattr(owner, name, self._full(name, getattr(owner, name)))

    def _full(self, name, original):
        def call(*arguments, **named):
            if name == "open" and not arguments[1] & os.O_CREAT:
                return original(*arguments, **named)
            self.steps += 1
            if self.steps == self._step and name == "write":
                return original(arguments[0], arguments[1][: len(arguments[1]) // 2])
            if self.steps == self._step + (name == "write") or (self.steps > self._step and not self._once):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(*arguments, **named)

        return call


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr("unrender.core.batch.ahead.CHUNK", 2)
    monkeypatch.setattr("unrender.core.batch.run.CHUNK", 2)


@pytest.fixture(name="start")
def start_fixture(tmp_path):
    return draw(tmp_path / "start" / "pictures", 3, broken=1)


def full_at(step, once, act):
    """Whether the disk was full before `act` was done, which says so."""
    with pytest.MonkeyPatch.context() as patch:
        disk = FullDisk(patch, step, once)
        try:
            act()
        except UnrenderError as error:
            assert "disk is full" in str(error) or "No space left" in str(error), error
    return disk.steps >= step


def prepared(start, work, kind):
    """A copy of the pictures, and of the file that is there already where it is to be replaced."""
    shutil.rmtree(work.parent, ignore_errors=True)
    shutil.copytree(start, work)
    output, _, way = kind.partition("-")
    if way == "overwrite" and output in ("csv", "jsonl", "parquet", "tar"):
        (work / f"desc.{output}").write_bytes(b"an old one")
    return work


@pytest.mark.parametrize("once", [False, pytest.param(True, marks=pytest.mark.full)], ids=["from then on", "once"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_on_a_full_disk_goes_on_when_there_is_room(tmp_path, start, kind, once):
    if kind.startswith("parquet"):
        pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    run_kind(kind, prepared(start, tmp_path / "undisturbed" / "pictures", kind))
    expected = contents(tmp_path / "undisturbed")
    for step in range(1, 1000):
        folder = prepared(start, tmp_path / "work" / "pictures", kind)
        if not full_at(step, once, lambda folder=folder: run_kind(kind, folder)):
            break
        run_kind(kind, folder, resume=True)
        assert contents(folder.parent) == expected, (kind, step)
    assert step > 10


@pytest.mark.parametrize("once", [False, True], ids=["from then on", "once"])
def test_what_was_renamed_on_a_full_disk_is_undone(tmp_path, start, once):
    before = set(contents(start))
    for step in range(1, 1000):
        folder = prepared(start, tmp_path / "work" / "pictures", "rename")
        if not full_at(step, once, lambda folder=folder: run_kind("rename", folder)):
            break
        if (folder / UNDO_NAME).exists() and b"plan" in (folder / UNDO_NAME).read_bytes():
            assert undo(folder / UNDO_NAME)[1] == []
        assert set(contents(folder)) - {"errors.csv"} == before, step
    assert step > 10


@pytest.mark.parametrize("once", [False, True], ids=["from then on", "once"])
def test_undoing_on_a_full_disk_is_repeated_when_there_is_room(tmp_path, start, once):
    before = set(contents(start)) | {"errors.csv"}
    for step in range(1, 1000):
        folder = prepared(start, tmp_path / "work" / "pictures", "rename")
        run_kind("rename", folder)
        if not full_at(step, once, lambda folder=folder: undo(folder / UNDO_NAME)):
            break
        if (folder / UNDO_NAME).exists():
            assert undo(folder / UNDO_NAME)[1] == []
        assert set(contents(folder)) == before
    assert step > 3
