"""CSV that no spreadsheet computes, whose rows stay one, and that says the same when it is read back."""

from __future__ import annotations

import csv
import io
import sys

import pytest
from batch_runs import QuickEngine
from batch_setting import folder_fixture, run  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from unrender.core.batch import Batch, sink_named, source_named
from unrender.core.cells import csv_text, true_text

FORMULAS = (
    "=1+1",
    "=cmd|' /C calc'!A0",
    "+1+cmd",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\u3000=1",
    "＝1+1",
    "-1e",
    "'=1",
)
PLAIN = ("a cat", "-0.5", "+1e-3", "1=2", "'tis a cat", "", "a = b", '"=1"')


def read(text):
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("cell", FORMULAS)
def test_what_a_spreadsheet_would_compute_is_text(cell):
    assert read(csv_text([(cell, "b")])) == [[f"'{cell}", "b"]]
    assert true_text(f"'{cell}") == cell
    assert read(csv_text([(cell, "b")], formulas=True)) == [[cell, "b"]]


@pytest.mark.parametrize("cell", PLAIN)
def test_all_else_stays(cell):
    assert read(csv_text([(cell, "b")])) == [[cell, "b"]] and true_text(cell) == cell


def test_numbers_stay_numbers():
    assert csv_text([(-0.25, -1, None, "-0.25")]) == "-0.25,-1,,-0.25\n"


@settings(deadline=None, max_examples=300)
@given(st.lists(st.lists(st.text("=+-@'\t\r\n ,;\"a1.e\u2028\x0b", max_size=6), min_size=1, max_size=3), max_size=4))
def test_every_table_reads_back(rows):
    found = read(csv_text(rows))
    assert [[true_text(cell) for cell in row] for row in found] == rows
    assert not any(cell.lstrip()[:1] in ("=", "@") for row in found for cell in row)
    assert read(csv_text(rows, formulas=True)) == rows


@pytest.fixture(name="odd")
def odd_fixture(tmp_path):
    names = ["=1+1.png", "@a.png", "-a.png", "+a.png", "'=a.png", "plain.png"]
    if sys.platform != "win32":
        names += ["a\rb.png", "a\nb.png", "\ta.png", '"q".png']
    for name in names:
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    return tmp_path, sorted(names)


def test_a_run_s_table_is_a_list_of_the_same_pictures(odd):
    folder, names = odd
    run(folder, "csv", QuickEngine(words="=HYPERLINK(1), {}"))
    rows = read((folder / "desc.csv").read_bytes().decode("utf-8"))
    assert all(len(row) == 2 and row[0][:1] not in tuple("=+-@\t\r") and row[1].startswith("'=") for row in rows[1:])
    assert sorted(item.name for item in source_named([str(folder / "desc.csv")])) == names
    sink = sink_named("csv", folder, folder / "again.csv", formulas=True)
    again = Batch(QuickEngine(), source_named([str(folder / "desc.csv")]), sink, "fast")  # pyright: ignore[reportArgumentType]
    assert all(outcome.result is not None for outcome in again)
    table = read((folder / "again.csv").read_bytes().decode("utf-8"))
    assert sorted(row[0] for row in table[1:]) == names


def test_failures_are_text_and_keep_to_their_rows(tmp_path):
    for name in ("=1+1.png", "a.png") + (("b\rc.png",) if sys.platform != "win32" else ()):
        (tmp_path / name).write_bytes(b"no picture")
    run(tmp_path, "csv")
    rows = read((tmp_path / "errors.csv").read_bytes().decode("utf-8"))
    assert {true_text(row[0]) for row in rows[1:]} == {path.name for path in tmp_path.glob("*.png")}
    assert "'=1+1.png" in {row[0] for row in rows}


def test_the_commands_have_the_switch(tmp_path, capsys, monkeypatch):
    from unrender import cli

    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8), "red").save("=a.png")
    for more, cell in (([], "'=a.png"), (["--formulas"], "=a.png")):
        assert cli.main(["match", "=a.png", "a red square", "--clip", "micro", "--csv", *more]) == 0
        assert read(capsys.readouterr().out)[1][0] == cell
        assert cli.main(["analyze", "=a.png", "--clip", "micro", "--csv", "--categories", "mediums", *more]) == 0
        assert read(capsys.readouterr().out)[1][0] == cell
        table = f"desc{len(more)}.csv"
        command = ["batch", "=a.png", "--clip", "micro", "--mode", "fast", "--captioner", "micro", "--output", "csv"]
        assert cli.main([*command, "-o", table, *more]) == 0
        capsys.readouterr()
        assert read((tmp_path / table).read_text(encoding="utf-8"))[1][0] == cell
