"""A run that is stopped, a disk that is full, folders that vanish: what is lost, and how the run goes on."""

from __future__ import annotations

import csv
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from batch_runs import QuickEngine, batch, contents, draw
from batch_setting import StopsAfter, folder_fixture, run  # noqa: F401
from unrender.core.batch.append import AppendFile
from unrender.core.errors import BatchError, Cancelled


@pytest.mark.parametrize("output", ["csv", "rename", "txt"])
def test_a_stopped_run_goes_on(tmp_path, output):
    folder, twin = (draw(tmp_path / name / "pictures", 40) for name in ("one", "other"))
    with pytest.raises(Cancelled):
        run(folder, output, QuickEngine(progress=StopsAfter(20)), mode="best")
    if output != "txt":
        with pytest.raises(BatchError, match="did not finish; resume it"):
            run(folder, output)
        with pytest.raises(BatchError, match="another mode"):
            run(folder, output, mode="classic", resume=True)
    second, _ = run(folder, output, mode="best", resume=True)
    run(twin, output, mode="best")
    assert contents(folder.parent) == contents(twin.parent)
    assert second.written < 22


def test_a_finished_run_takes_up_new_pictures(folder):
    run(folder, "csv")
    shutil.copy(folder / "0001.png", folder / "new.png")
    again, outcomes = run(folder, "csv", resume=True)
    assert [outcome.name for outcome in outcomes] == ["new.png", "broken0.png"] and again.total == 2
    assert (folder / "desc.csv").read_text().splitlines()[-1] == 'new.png,"a square, number 1"'


def test_a_failure_that_is_mended_leaves_the_list(folder):
    run(folder, "csv")
    shutil.copy(folder / "0001.png", folder / "broken0.png")
    again, _ = run(folder, "csv", resume=True)
    assert again.errors is None and not (folder / "errors.csv").exists()
    assert "broken0.png" in (folder / "desc.csv").read_text()


def failed(folder):
    """The list's rows: which picture, in which run."""
    with (folder / "errors.csv").open(newline="") as file:
        return [(row["image"], row["output"]) for row in csv.DictReader(file)]


TITLES = b"image,error,output\n"


@pytest.mark.parametrize(
    "left", [b"", TITLES[:8], TITLES, TITLES + b'broken0.png,"no pic', b"image,error\nold.png,x\n"]
)
def test_what_a_kill_or_a_full_disk_leaves_of_the_list_keeps_no_run_from_going_on(folder, left):
    run(folder, "csv")
    whole = (folder / "errors.csv").read_bytes()
    (folder / "errors.csv").write_bytes(left)
    run(folder, "csv", resume=True)
    assert (folder / "errors.csv").read_bytes() == whole
    (folder / "errors.csv").write_bytes(left)
    run(folder, "jsonl")
    assert failed(folder) == [("broken0.png", "desc.jsonl")]


def test_each_run_has_its_own_rows_in_the_list(folder):
    run(folder, "csv")
    run(folder, "jsonl")
    assert failed(folder) == [("broken0.png", "desc.csv"), ("broken0.png", "desc.jsonl")]
    shutil.copy(folder / "0001.png", folder / "broken0.png")
    again, _ = run(folder, "jsonl", resume=True)
    assert again.errors is None and failed(folder) == [("broken0.png", "desc.csv")]
    run(folder, "txt")
    assert failed(folder) == [("broken0.png", "desc.csv")]
    run(folder, "csv", resume=True)
    assert not (folder / "errors.csv").exists()


def test_what_ended_before_its_first_mark_is_begun_anew_without_a_word(folder):
    found, _ = run(folder, "csv")
    table = (folder / "desc.csv").read_bytes()
    (folder / "desc.csv").unlink()
    [journal] = (folder / ".unrender").glob("*.jsonl")
    journal.write_bytes(journal.read_bytes().splitlines(keepends=True)[0])
    again, _ = run(folder, "csv")
    assert (again.written, again.failed) == (found.written, found.failed)
    assert (folder / "desc.csv").read_bytes() == table


def test_a_folder_that_vanishes_costs_its_pictures_alone(tmp_path):
    folder = draw(tmp_path / "pictures", 40)
    found = batch(QuickEngine(), folder, "txt", existing="overwrite")
    for number, _ in enumerate(found):
        if number == 0:
            shutil.rmtree(folder / "below")
    assert (found.written, found.failed) == (26, 14)
    assert "below/" in (folder / "errors.csv").read_text()


@pytest.mark.parametrize("output", ["csv", "jsonl", "txt", "rename", "copy", "tar"])
def test_a_full_disk_is_one_sentence_and_costs_nothing(tmp_path, output, monkeypatch):
    folder, twin = (draw(tmp_path / name / "pictures", 40) for name in ("one", "other"))
    original = AppendFile.append
    appended = []

    def append(self, data):
        appended.append(len(data))
        if len(appended) == 6:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("unrender.core.batch.append.memoryview", _Full, raising=False)
                return original(self, data)
        return original(self, data)

    monkeypatch.setattr(AppendFile, "append", append)
    with pytest.raises(BatchError, match="disk is full"):
        run(folder, output, mode="best")
    monkeypatch.undo()
    run(folder, output, mode="best", resume=True)
    run(twin, output, mode="best")
    assert contents(folder.parent) == contents(twin.parent)


def _Full(data):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


_ON_A_SMALL_DISK = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from batch_runs import QuickEngine, batch, draw
from unrender.core.errors import BatchError
folder = draw(Path(sys.argv[1]) / "pictures", 40)
ballast = (folder.parent / "ballast").open("wb", buffering=0)
try:
    while True:
        ballast.write(bytes(4096))
except OSError:
    ballast.truncate(ballast.tell() - {free})
try:
    list(batch(QuickEngine(), folder, sys.argv[2]))
except BatchError as error:
    print(error)
ballast.truncate(0)
found = batch(QuickEngine(), folder, sys.argv[2], resume=True)
list(found)
print(found.written, found.failed)
table, texts = folder / "desc.csv", [path.read_text() for path in folder.rglob("*.txt")]
print(table.read_text().count("square") if table.exists() else sum("square" in text or "old" in text for text in texts))
"""


@pytest.mark.parametrize("output", ["csv", "txt"])
def test_a_small_disk_runs_full(tmp_path, output):
    """On a file system that is made for one process, and has three pages left."""
    if not sys.platform.startswith("linux"):
        pytest.skip("needs Linux's mount namespaces")
    script = tmp_path / "script.py"
    script.write_text(_ON_A_SMALL_DISK.format(tests=str(Path(__file__).parent), free=12_288))
    (tmp_path / "disk").mkdir()
    mounted = 'mount -t tmpfs -o size=2m,nr_inodes=1000 none disk || exit 77; exec "$0" script.py disk "$1"'
    command = ["unshare", "-rm", "sh", "-c", mounted, sys.executable, output]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    if done.returncode and "Traceback" not in done.stderr:
        pytest.skip("no mount namespaces here")
    assert done.returncode == 0, done.stderr
    sentence, counts, prompts = done.stdout.splitlines()
    assert "disk is full" in sentence and "make room and resume it" in sentence
    assert counts.endswith(" 0") and prompts == "40"


def test_what_a_kill_left_to_write_and_cannot_be_written_is_a_failure(folder):
    stopped = iter(batch(QuickEngine(), folder, existing="overwrite"))
    next(stopped)  # all of the chunk is in the journal, one text is written
    stopped.close()  # pyright: ignore[reportAttributeAccessIssue]
    shutil.rmtree(folder / "below")
    found, outcomes = run(folder, existing="overwrite", resume=True)
    assert [outcome.name for outcome in outcomes] == [f"below/000{number}.png" for number in (0, 3, 6)]
    assert found.failed == 3 and (folder / "errors.csv").read_text().count("cannot be written") == 3
    assert (folder / "0007.txt").read_text() == "a square, number 2"
