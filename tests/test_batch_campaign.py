"""A thousand kills over all outputs, and fifty disks that run full, counted: `pytest -m full` with this file."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from batch_kills import assert_all_as_expected, run_with_kills, undisturbed
from batch_runs import KINDS, contents, draw, run_kind
from unrender.core.batch import undo
from unrender.core.batch.renaming import UNDO_NAME

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills are tried on processes that were forked"),
]

KILLS = int(os.environ.get("UNRENDER_KILLS", "1000"))
DISKS = int(os.environ.get("UNRENDER_FULL_DISKS", "50"))
PICTURES = 40
AT_ONCE = 10
"""Kills of one run, each of which goes on where the last was killed, at most."""


@pytest.fixture(name="kinds")
def kinds_fixture():
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return [kind for kind in KINDS if not kind.startswith("parquet")]
    return list(KINDS)


def told(capsys, *facts):
    with capsys.disabled():
        print("\n" + ", ".join(facts) + ".")  # noqa: T201


def test_kills_at_random_instants_of_every_output_lose_nothing(tmp_path, kinds, capsys, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # a process's end takes nothing from the system's memory
    started, kills, runs = time.monotonic(), Counter[str](), 0
    start = draw(tmp_path / "start" / "input" / "pictures", PICTURES, broken=2)
    names = set(contents(start.parent))
    usual = {}
    for kind, mode in itertools.product(kinds, ("fast", "best")):
        shutil.copytree(start.parent.parent, tmp_path / f"{kind}-{mode}")
        usual[kind, mode] = undisturbed(tmp_path / f"{kind}-{mode}" / "input" / "pictures", kind, mode)
    while kills.total() < KILLS:
        for (kind, mode), (expected, seconds) in usual.items():
            folder = tmp_path / f"work-{runs}" / "input" / "pictures"
            shutil.copytree(start, folder)
            kills[kind] += run_with_kills(folder, kind, mode, AT_ONCE, seconds * 2 / AT_ONCE)
            runs += 1
            assert_all_as_expected(folder, kind, expected, names)
            shutil.rmtree(folder.parent.parent)
            if kills.total() >= KILLS:
                break
    seconds = time.monotonic() - started
    told(capsys, f"{kills.total()} kills in {runs} runs over {len(kills)} outputs", f"{seconds:.0f} s", "nothing lost")


def test_kills_while_names_are_given_back_lose_nothing(tmp_path, capsys):
    instants, kills = random.Random("undo"), 0
    start = draw(tmp_path / "start" / "pictures", PICTURES)
    before = contents(start)
    for number in range(max(1, KILLS // 100)):
        folder = tmp_path / f"work-{number}" / "pictures"
        shutil.copytree(start, folder)
        run_kind("rename", folder)
        longest = 0.002
        while (folder / UNDO_NAME).exists():
            longest *= 1.5
            child = os.fork()
            if not child:
                undo(folder / UNDO_NAME)
                os._exit(0)
            time.sleep(instants.uniform(0, longest))
            os.kill(child, signal.SIGKILL)
            kills += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert contents(folder) == before
    told(capsys, f"{kills} kills while names were given back", "nothing lost")


_DISK = """
import os, shutil, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from batch_runs import contents, draw, run_kind
from unrender.core.batch import undo
from unrender.core.batch.renaming import UNDO_NAME
from unrender.core.errors import BatchError

def prepared(name):
    shutil.rmtree(Path("disk") / name, ignore_errors=True)
    return draw(Path("disk") / name / "pictures", 40, broken=2)

full = 0
for trial in sys.argv[2:]:
    kind, _, free = trial.partition(":")
    whole = prepared("whole")
    names = set(contents(whole))
    run_kind(kind, whole)
    expected = contents(whole.parent)
    shutil.rmtree(whole.parent)
    folder = prepared("work")
    with Path("disk/ballast").open("wb", buffering=0) as ballast:
        try:
            while True:
                ballast.write(bytes(4096))
        except OSError:
            ballast.truncate(max(0, ballast.tell() - int(free)))
        try:
            run_kind(kind, folder)
        except BatchError as error:
            assert "disk is full" in str(error), error
            full += 1
        ballast.truncate(0)
    run_kind(kind, folder, resume=True)
    assert contents(folder.parent) == expected, trial
    if kind == "rename":
        undo(folder / UNDO_NAME)
        assert set(contents(folder)) - {"errors.csv"} == names, trial
print(full)
"""


def test_disks_that_run_full_lose_nothing(tmp_path, kinds, capsys):
    """Each a file system of a process's own, with so many pages left that it is full at another step of the run."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "script.py").write_text(_DISK)
    full = tried = 0
    for pages in itertools.count(0, 2):
        trials = [f"{kind}:{4096 * pages}" for kind in kinds]
        mounted = 'mount -t tmpfs -o size=4m,nr_inodes=2000 none disk || exit 77; exec "$0" script.py "$@"'
        command = ["unshare", "-rm", "sh", "-c", mounted, sys.executable, str(Path(__file__).parent), *trials]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
        if done.returncode and "Traceback" not in done.stderr:
            pytest.skip("no mount namespaces here")
        assert done.returncode == 0, done.stderr
        found = int(done.stdout)
        full, tried = full + found, tried + len(trials)
        if full >= DISKS or not found:
            break
    assert full >= DISKS
    told(capsys, f"{full} disks full in {tried} runs over {len(kinds)} outputs", "nothing lost")
