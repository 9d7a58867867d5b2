"""Runs in processes of their own that are killed, gone on with, and compared with what nothing happened to."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time

from batch_runs import QuickEngine, contents, run_kind
from unrender.core.batch import undo
from unrender.core.batch.renaming import UNDO_NAME


def undisturbed(folder, kind, mode):
    """What a run leaves that nothing happens to, and how long it takes."""
    twin = folder.parent.with_name("undisturbed") / folder.name
    shutil.copytree(folder, twin)
    started = time.perf_counter()
    child = start(twin, kind, mode)
    assert os.waitpid(child, 0)[1] == 0
    return contents(twin.parent), time.perf_counter() - started


def start(folder, kind, mode):
    """The process of a run that goes on with what is there."""
    child = os.fork()
    if not child:
        start_here(folder, kind, mode)
    return child


def start_here(folder, kind, mode):
    """The same in this process, which it ends."""
    status = 1
    try:
        run_kind(kind, folder, QuickEngine(0.0005), mode=mode, resume=True)
        status = 0
    finally:
        os._exit(status)


def run_with_kills(folder, kind, mode, kills, longest):
    """Goes on until a run ends by itself; returns how many were killed before."""
    instants = random.Random(f"{kind} {mode} {folder.parent.parent.name}")
    for killed in range(kills + 1):
        child = start(folder, kind, mode)
        if killed < kills:
            time.sleep(instants.uniform(0.0, longest))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            return killed
    raise AssertionError("a run that nobody killed did not end")


def assert_all_as_expected(folder, kind, expected, names):
    assert contents(folder.parent) == expected
    if kind == "rename":
        undo(folder / UNDO_NAME)
        assert set(contents(folder.parent)) - {"pictures/errors.csv"} == names
