"""Tables that are there already, and tables that somebody edits between two runs: nothing of either is lost."""

from __future__ import annotations

import csv
import io
import json
import random

import pytest
from batch_runs import QuickEngine, batch, contents, draw
from batch_setting import StopsAfter, folder_fixture, run  # noqa: F401
from unrender.core.errors import Cancelled, ModelError

TABLES = ("csv", "jsonl", "parquet", "tar")


class Broken(QuickEngine):
    """Its model turns out not to load when it is first needed."""

    def interrogate_each(self, images, mode="best", captions=None, failed=None):
        raise ModelError("The model cannot be downloaded")
        yield


def _need(output):
    if output == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")


@pytest.mark.parametrize("output", TABLES)
def test_an_old_table_outlives_a_model_that_does_not_load(folder, output):
    _need(output)
    table = folder / f"desc.{output}"
    table.write_bytes(b"what took a week\n" * 100)
    before = contents(folder)
    with pytest.raises(ModelError):
        run(folder, output, Broken(), existing="overwrite")
    assert contents(folder) == before
    found, _ = run(folder, output, existing="overwrite")  # which needs no word of going on
    assert found.written == 8 and b"week" not in table.read_bytes()


@pytest.mark.parametrize("output", TABLES)
def test_a_finished_run_can_be_gone_on_with_after_a_model_did_not_load(folder, output):
    _need(output)
    run(folder, output)
    before = (folder / f"desc.{output}").read_bytes()
    with pytest.raises(ModelError):
        run(folder, output, Broken(), existing="overwrite")
    again, _ = run(folder, output, resume=True)
    assert (folder / f"desc.{output}").read_bytes() == before and again.written == 0 and not again.remarks


@pytest.mark.parametrize(
    ("output", "more"), [("txt", {"existing": "overwrite"}), ("rename", {}), ("xmp", {"existing": "overwrite"})]
)
def test_what_is_no_table_outlives_a_model_that_does_not_load_too(folder, output, more):
    if output != "txt":
        run(folder, output)
    before = {
        path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file() and "lock" not in path.name
    }
    with pytest.raises(ModelError):
        run(folder, output, Broken(), **more)
    after = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file() and "lock" not in path.name}
    assert after == before


@pytest.mark.parametrize("output", ["csv", "jsonl", "tar"])
def test_an_old_table_is_there_until_the_new_one_is_whole(tmp_path, output):
    folder, twin = (draw(tmp_path / name / "pictures", 40) for name in ("one", "other"))
    table = folder / f"desc.{output}"
    table.write_bytes(b"an old one")
    with pytest.raises(Cancelled):
        run(folder, output, QuickEngine(progress=StopsAfter(20)), mode="best", existing="overwrite")
    assert table.read_bytes() == b"an old one"
    again, _ = run(folder, output, mode="best", existing="overwrite", resume=True)
    run(twin, output, mode="best")
    assert contents(folder.parent) == contents(twin.parent) and again.written < 22 and not again.remarks


@pytest.mark.parametrize("emptied", [True, False])
@pytest.mark.parametrize("output", TABLES)
def test_an_old_table_outlives_a_run_that_came_to_no_result(tmp_path, output, emptied):
    _need(output)
    folder = draw(tmp_path / "pictures", 0 if emptied else 3)
    mended = [path for path in folder.rglob("*") if path.is_file()]
    good = [path.read_bytes() for path in mended]
    for path in mended:
        path.write_bytes(b"no picture")
    table = folder / f"desc.{output}"
    table.write_bytes(b"what took a week")
    found, _ = run(folder, output, existing="overwrite")
    assert table.read_bytes() == b"what took a week" and found.written == 0
    assert found.remarks == [f"{table} is left as it was, because nothing was found that could replace it."]
    again, _ = run(folder, output, existing="overwrite", resume=True)
    assert table.read_bytes() == b"what took a week" and again.remarks == found.remarks
    for path, data in zip(mended, good, strict=True):
        path.write_bytes(data)
    if mended:
        again, _ = run(folder, output, existing="overwrite", resume=True)
        assert b"week" not in table.read_bytes() and again.written == 3 and not again.remarks


def _rows(data):
    return list(csv.reader(io.StringIO(data.decode("utf-8"), newline="")))


def _written(rows, codec="utf-8", ends="\n", **more):
    text = io.StringIO()
    csv.writer(text, lineterminator=ends, **more).writerows(rows)
    return text.getvalue().encode(codec)


EDITS = {
    "other quotes": lambda data: _written(_rows(data), quoting=csv.QUOTE_ALL),
    "semicolons": lambda data: _written(_rows(data), delimiter=";"),
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "UTF-16": lambda data: _written(_rows(data), "utf-16"),
    "other line ends": lambda data: data.replace(b"\n", b"\r\n"),
    "a row less": lambda data: _written(_rows(data)[:2] + _rows(data)[3:]),
    "a row more": lambda data: data + b"mine.png,what I wrote\n",
    "a row more, open": lambda data: data + b"mine.png,what I wrote",
    "sorted": lambda data: _written(sorted(_rows(data), reverse=True)),
    "a word changed": lambda data: data.replace(b"number 2", b"number 9", 1),
    "cut": lambda data: data[: len(data) // 2],
    "the last line missing": lambda data: data[: data.rstrip().rfind(b"\n") + 1],
    "its end missing": lambda data: data[:-1],
    "empty": lambda data: b"",
}


AS_A_KILL = ("the last line missing", "its end missing")
"""What a kill may leave of the last chunk, which is written again without a word."""


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("edit", EDITS)
def test_a_table_edited_between_two_runs_is_kept_beside_and_the_run_goes_on(tmp_path, edit, finished):
    folder, twin = (draw(tmp_path / name / "pictures", 40) for name in ("one", "other"))
    if finished:
        run(folder, "csv", mode="best")
    else:
        with pytest.raises(Cancelled):
            run(folder, "csv", QuickEngine(progress=StopsAfter(20)), mode="best")
    table = folder / "desc.csv"
    edited = EDITS[edit](table.read_bytes())
    table.write_bytes(edited)
    again, _ = run(folder, "csv", mode="best", resume=True)
    run(twin, "csv", mode="best")
    assert table.read_bytes() == (twin / "desc.csv").read_bytes()
    if not finished and edit in AS_A_KILL:
        assert not again.remarks
        return
    [remark] = again.remarks
    assert str(table) in remark and "desc-edited.csv" in remark
    assert (folder / "desc-edited.csv").read_bytes() == edited
    once_more, _ = run(folder, "csv", mode="best", resume=True)
    assert not once_more.remarks and table.read_bytes() == (twin / "desc.csv").read_bytes()


@pytest.mark.parametrize("output", TABLES)
def test_each_kind_of_table_is_known_again(tmp_path, output):
    _need(output)
    folder, twin = (draw(tmp_path / name / "pictures", 40) for name in ("one", "other"))
    run(folder, output)
    run(twin, output)
    table = folder / f"desc.{output}"
    whole = table.read_bytes()
    table.write_bytes(edited := whole[:-700] + b"?" + whole[-699:])
    again, _ = run(folder, output, resume=True)
    assert table.read_bytes() == (twin / f"desc.{output}").read_bytes() and len(again.remarks) == 1
    assert (folder / f"desc-edited.{output}").read_bytes() == edited
    assert again.written == again.failed == 0


def test_a_second_edit_gets_a_number_and_the_same_one_does_not(tmp_path):
    folder = draw(tmp_path / "pictures", 4)
    run(folder, "csv")
    whole = (folder / "desc.csv").read_bytes()
    for edit in (b"one", b"two", b"one"):
        (folder / "desc.csv").write_bytes(edit)
        run(folder, "csv", resume=True)
        assert (folder / "desc.csv").read_bytes() == whole
    assert {path.name: path.read_bytes() for path in folder.glob("desc-*")} == {
        "desc-edited.csv": b"one",
        "desc-edited-2.csv": b"two",
    }


@pytest.mark.parametrize("output", ["csv", "tar"])
def test_stops_while_an_edited_table_is_replaced_lose_nothing(tmp_path, output):
    folder, twin = (draw(tmp_path / name / "pictures", 60) for name in ("one", "other"))
    steps = random.Random(5)
    with pytest.raises(Cancelled):
        run(folder, output, QuickEngine(progress=StopsAfter(20)), mode="best")
    table = folder / f"desc.{output}"
    table.write_bytes(edited := table.read_bytes()[:-20] + b"mine")
    for _ in range(3):
        with pytest.raises(Cancelled):
            run(folder, output, QuickEngine(progress=StopsAfter(steps.randrange(8))), mode="best", resume=True)
        assert table.read_bytes() == edited
    run(folder, output, mode="best", resume=True)
    run(twin, output, mode="best")
    assert table.read_bytes() == (twin / f"desc.{output}").read_bytes()
    assert [path.read_bytes() for path in folder.glob("desc-edited*")] == [edited]


def test_a_remark_is_told_before_a_run_is_stopped(tmp_path, monkeypatch):
    folder = draw(tmp_path / "pictures", 4)
    run(folder, "csv")
    (folder / "desc.csv").write_bytes(b"mine")
    draw(folder, 8)
    found = batch(QuickEngine(), folder, "csv", resume=True)
    next(iter(found))
    assert len(found.remarks) == 1


def test_json_lines_that_hold_less_are_written_once_more(folder):
    run(folder, "jsonl")
    table = folder / "desc.jsonl"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:3]))
    run(folder, "jsonl", resume=True)
    assert [json.loads(line) for line in table.read_text().splitlines()] == [json.loads(line) for line in lines]


def test_a_file_of_wildcards_has_a_prompt_a_line_that_holds_no_command(tmp_path):
    """Lines like these come back whole from the package that draws them, which was tried by hand."""
    folder = draw(tmp_path / "pictures", 3)
    said = "# {} of {{a|b}}, 50% $5 __cat__ (red:1.2)\nby night // x /* y */"
    found, _ = run(folder, "wildcard", QuickEngine(words=said))
    lines = (folder / "wildcard.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == found.written == 3
    assert sorted(lines)[0] == r"＃ 0 of ｛a|b｝, 50％ ＄5 _\_cat_\_ \(red\:1.2\) by night ／/ x ／* y *／"
