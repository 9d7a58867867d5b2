"""A run killed at any instant and gone on with leaves what an undisturbed one leaves, to the byte."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from batch_kills import assert_all_as_expected, run_with_kills, start_here, undisturbed
from batch_runs import KINDS, contents, draw

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills are tried on processes that were forked")

PICTURES = 40


@pytest.fixture(autouse=True)
def _package_of(request):
    callspec = getattr(request.node, "callspec", None)
    if callspec is not None and str(callspec.params.get("kind")).startswith("parquet"):
        pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")


@pytest.fixture
def folder(tmp_path):
    return draw(tmp_path / "input" / "pictures", PICTURES, broken=2)


def _often(kind):
    """Whether a kind is tried in every run: replacing a table that is not there adds nothing to making one."""
    return not (kind.endswith("-overwrite") and kind.removesuffix("-overwrite") in KINDS)


EVERY_KIND = [pytest.param(kind, marks=() if _often(kind) else pytest.mark.full) for kind in KINDS]


def plant(folder, kind):
    """What an overwriting run finds in its place."""
    if kind.endswith("-overwrite"):
        (folder / f"desc.{kind.split('-')[0]}").write_bytes(b"an old one\n" * 1000)


def compare(folder, kind, mode, kills):
    plant(folder, kind)
    names = set(contents(folder.parent))
    expected, seconds = undisturbed(folder, kind, mode)
    assert any(name.endswith("errors.csv") for name in expected)
    for attempt in range(1, 6):  # on a machine that is slow at first, runs may end before they are to be killed
        twin = folder.parent.with_name(f"attempt{attempt}") / folder.name
        shutil.copytree(folder, twin)
        killed = run_with_kills(twin, kind, mode, kills, seconds / 2**attempt)
        assert_all_as_expected(twin, kind, expected, names)
        if 2 * killed >= kills:
            break
    return killed


@pytest.mark.parametrize("kind", EVERY_KIND)
def test_a_killed_run_goes_on(folder, kind):
    assert compare(folder, kind, "fast", 3) > 0


@pytest.mark.full
@pytest.mark.parametrize("mode", ["fast", "best"])
@pytest.mark.parametrize("kind", KINDS)
def test_runs_killed_many_times_go_on(folder, kind, mode):
    killed = sum(compare(folder, kind, mode, 6) for folder in _copies(folder, 3))
    assert killed > 6


STEPS = ((os, "write"), (os, "open"), (Path, "replace"), (Path, "rename"), (os, "fsync"))


class EndsAtStep:
    """Ends the process at one of the calls that change the disk: half done where it writes, with a file that is empty
    still where it makes one, else before it."""

    def __init__(self, patch, step):
        self._left = step
        for owner, name in STEPS:
            patch.setattr(owner, name, self._ending(getattr(owner, name)))

    def _ending(self, original):
        def call(*arguments, **named):
            makes = original.__name__ == "open"
            self._left -= not makes or bool(arguments[1] & os.O_CREAT)
            if self._left == 0:
                if makes:
                    original(*arguments, **named)
                if original.__name__ == "write":
                    original(arguments[0], arguments[1][: len(arguments[1]) // 2])
                os._exit(9)
            return original(*arguments, **named)

        return call


def ended_at(step, folder, kind):
    """Whether a run came as far as this step, where its process ended."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    try:
        with pytest.MonkeyPatch.context() as patch:
            EndsAtStep(patch, step)
            start_here(folder, kind, "fast")
    finally:
        os._exit(1)


OFTEN = ("rename", "csv-overwrite")


@pytest.mark.parametrize(
    "kind", [*OFTEN, *(pytest.param(kind, marks=pytest.mark.full) for kind in KINDS if kind not in OFTEN)]
)
def test_a_run_may_end_at_any_step(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # a process's end takes nothing from the system's memory
    monkeypatch.setattr("unrender.core.batch.ahead.CHUNK", 2)
    monkeypatch.setattr("unrender.core.batch.run.CHUNK", 2)
    folder = draw(tmp_path / "input" / "pictures", 3, broken=1)
    plant(folder, kind)
    names = set(contents(folder.parent))
    expected, _ = undisturbed(folder, kind, "fast")
    for step in range(1, 1000):
        twin = tmp_path / f"step{step}" / folder.name
        shutil.copytree(folder, twin)
        if not ended_at(step, twin, kind):
            break
        ended_at(step // 2, twin, kind)  # the run that goes on is ended too
        assert run_with_kills(twin, kind, "fast", 0, 0.0) == 0
        assert_all_as_expected(twin, kind, expected, names)
    assert step > 10


def _copies(folder, count):
    for number in range(count):
        twin = folder.parent / f"round{number}" / "input" / folder.name
        shutil.copytree(folder, twin)
        yield twin
