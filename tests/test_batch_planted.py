"""Journals that came with a folder, or are no journals: a sentence, and nothing is moved or written elsewhere."""

from __future__ import annotations

import copy
import json
import os
import shutil

import pytest
from batch_runs import QuickEngine, batch, contents, draw
from batch_setting import StopsAfter, folder_fixture, run  # noqa: F401
from unrender.core.batch import FilesSource, JoinedSource, sink_named, source_named, undo
from unrender.core.batch.renaming import UNDO_NAME
from unrender.core.batch.run import Batch
from unrender.core.errors import BatchError, Cancelled, SettingsError

OUTPUTS = ["txt-append", "csv", "jsonl", "rename", "copy", "xmp", "tar", "parquet"]
OUTSIDE = ["../outside.png", "{root}/outside.png", "linked/outside.png", "half\ud800.png", "nul\0.png"]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def options(kind):
    output, _, existing = kind.partition("-")
    return {"output": output, "existing": existing or None}


def stopped(folder, kind):
    """A run that was ended with some of its pictures pending; its journal, and what it holds."""
    batch_there = iter(batch(QuickEngine(), folder, **options(kind)))
    next(batch_there)  # all are in the journal now, one is written
    batch_there.close()  # pyright: ignore[reportAttributeAccessIssue]
    journal = journal_of(folder, kind)
    return journal, [json.loads(line) for line in journal.read_text().splitlines()]


def journal_of(folder, kind):
    """Where it is, or would be."""
    name = kind.partition("-")[0]
    place = folder.parent / "made" if name in ("copy", "xmp") else folder
    return place / UNDO_NAME if name == "rename" else next((place / ".unrender").glob("*.jsonl"))


def write(journal, lines):
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))


def package_for(kind):
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")


def everything(folder):
    return {
        path: path.is_file() and path.read_bytes() for path in sorted(folder.rglob("*")) if ".unrender" not in str(path)
    }


# --- journals that lead elsewhere ---


@pytest.mark.parametrize(
    "told", ["../outside.png", "{root}/outside.png", "linked/outside.png", "below/../../outside.png"]
)
@pytest.mark.parametrize("side", [0, 1])
def test_undoing_moves_nothing_outside_the_journals_folder(tmp_path, told, side):
    folder = draw(tmp_path / "pictures", 4)
    (folder / "linked").symlink_to(tmp_path, target_is_directory=True)
    told = told.format(root=tmp_path.as_posix())
    (tmp_path / "outside.png").write_bytes(b"mine")
    run(folder, "rename")
    lines = [json.loads(line) for line in (folder / UNDO_NAME).read_text().splitlines()]
    lines[2]["plan"]["moves"].append(["new.png", told] if side else [told, lines[2]["plan"]["moved"]])
    write(folder / UNDO_NAME, lines)
    before = everything(tmp_path)
    with pytest.raises(BatchError, match=r"nothing was moved|none that a run writes"):
        undo(folder / UNDO_NAME)
    assert everything(tmp_path) == before


def test_undoing_moves_no_file_from_folder_to_folder(folder):
    """A hook in a repository's own folder would be run."""
    run(folder, "rename")
    lines = [json.loads(line) for line in (folder / UNDO_NAME).read_text().splitlines()]
    lines[2]["plan"]["moves"].append(["below/hook", "notes.txt"])
    (folder / "notes.txt").write_text("evil")
    write(folder / UNDO_NAME, lines)
    before = everything(folder)
    with pytest.raises(BatchError, match="none that a run writes"):
        undo(folder / UNDO_NAME)
    assert everything(folder) == before


@pytest.mark.parametrize("kind", ["txt-append", "rename", "copy", "xmp"])
@pytest.mark.parametrize("told", OUTSIDE)
def test_going_on_writes_nothing_that_the_source_does_not_name(tmp_path, kind, told):
    folder = draw(tmp_path / "pictures", 4)
    told = told.format(root=tmp_path.as_posix())
    journal, lines = stopped(folder, kind)
    for place in (folder, journal.parent):
        if not (place / "linked").exists() and place.name != ".unrender":
            (place / "linked").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "outside.png").write_bytes(b"mine")
    plan = lines[-1].get("plan", {})
    plan.update({name: told for name in ("copy", "moved") if name in plan})
    if "moves" in plan:
        plan["moves"][0][1] = told
    if kind in ("txt-append", "xmp"):
        lines[-1]["image"] = told
    write(journal, lines)
    before = everything(tmp_path)
    with pytest.raises(BatchError):
        run(folder, resume=True, **options(kind))
    assert everything(tmp_path) == before


def test_described_copies_follow_no_link_in_their_folder(tmp_path):
    folder = draw(tmp_path / "pictures", 4)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "below").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    found, _ = run(folder, "xmp")
    assert list((tmp_path / "elsewhere").iterdir()) == [] and found.failed == 2 and found.written == 2


def test_a_journal_from_another_folder_is_not_gone_on_with(tmp_path):
    folder, other = draw(tmp_path / "pictures", 4), tmp_path / "downloaded"
    stopped(folder, "csv")
    shutil.copytree(folder, other)
    with pytest.raises(BatchError, match="begun with another folder"):
        run(other, "csv", resume=True)
    assert run(folder, "csv", resume=True)[0].failed == 0


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root may give a file away")
def test_another_users_journal_is_not_gone_on_with(tmp_path):
    folder = draw(tmp_path / "pictures", 4)
    journal, _ = stopped(folder, "rename")
    before = everything(folder)
    os.chown(journal, 12_345, -1)
    for act in (lambda: run(folder, "rename", resume=True), lambda: undo(journal)):
        with pytest.raises(BatchError, match="written by another user"):
            act()
    assert everything(folder) == before


def test_pictures_outside_the_journals_folder_are_not_renamed(tmp_path):
    one, other = draw(tmp_path / "one", 2), draw(tmp_path / "other", 2)
    source = JoinedSource([source_named([str(one)]), FilesSource([other / "0001.png"], other)])
    before = everything(tmp_path)
    with pytest.raises(SettingsError, match="outside of"):
        list(Batch(QuickEngine(), source, sink_named("rename", source.root)))
    assert everything(tmp_path) == before


# --- what is no journal ---

VALUES = [None, True, -1, 2**70, "x", "..", "\0", [], {}, [[]], [["a"]], {"a": 1}, float("nan")]


def places(value, path=()):
    """Of every value within a value."""
    yield path
    if isinstance(value, (dict, list)):
        for name, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(each, (*path, name))


def changed(lines, path, value):
    """With a value in another's place, or without it."""
    made = copy.deepcopy(lines)
    holder = made
    for name in path[:-1]:
        holder = holder[name]
    if value is KeyError:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return made


@pytest.mark.parametrize("values", [pytest.param(VALUES, marks=pytest.mark.full), [None, -1, "..", [[]], KeyError]])
@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_journal_of_another_form_is_a_sentence_or_does_no_harm(tmp_path, kind, values):
    package_for(kind)
    start = draw(tmp_path / "start" / "pictures", 2)
    shutil.copytree(start, work := tmp_path / "work" / "pictures")
    journal, lines = stopped(work, kind)
    lines = [line for line in lines if "image" not in line] + [line for line in lines if "image" in line][-1:]
    told = 0
    for path in places([line for line in lines if "asked" not in line]):
        at = (path[0] + 1, *path[1:]) if path else ()
        for value in values if at else ():
            shutil.rmtree(tmp_path / "work")
            shutil.copytree(start, work)
            journal.parent.mkdir(parents=True, exist_ok=True)
            write(journal, changed(lines, at, value))
            if kind in ("csv", "jsonl", "tar"):
                (work / f"desc.{kind}").write_bytes(b"")
            try:
                run(work, resume=True, **options(kind))
                if kind == "rename":
                    undo(journal)
            except BatchError:
                told += 1
            assert {path.name for path in (tmp_path / "work").iterdir()} <= {"pictures", "made"}
    assert told > 10


BYTES = {
    "nothing": b"",
    "zeros": bytes(5000),
    "no line": b"\x00\xff" * 4000,
    "a number": b"1\n",
    "text": "ünïcode\n".encode("utf-16"),
    "deep": b"[" * 200_000 + b"]" * 200_000 + b"\n",
    "deep asked": b'{"batch": 1, "asked": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001 + b"\n",
    "long number": b'{"batch": ' + b"9" * 10_000 + b"}\n",
    "half a character": b'{"batch": 1, "asked": {"\\ud800": 1}}\n',
    "two beginnings": b'{"batch": 1, "asked": {}}\n' * 2,
}


@pytest.mark.parametrize("name", BYTES)
@pytest.mark.parametrize("kind", ["txt-append", "csv", "rename"])
def test_any_bytes_are_a_sentence_or_a_run_that_begins_anew(tmp_path, kind, name):
    folder = draw(tmp_path / "pictures", 2)
    journal, _ = stopped(folder, kind)
    shutil.rmtree(tmp_path / "pictures")
    draw(folder, 2)
    journal.parent.mkdir(parents=True, exist_ok=True)
    journal.write_bytes(BYTES[name])
    before = everything(folder)
    with pytest.raises(BatchError):
        undo(journal)
    assert everything(folder) == before
    try:
        run(folder, resume=True, **options(kind))
    except BatchError:
        assert everything(folder) == before
    else:
        assert name in ("nothing", "zeros", "half a character")


def test_a_line_without_an_end_is_not_read_into_memory(tmp_path, monkeypatch):
    folder = draw(tmp_path / "pictures", 2)
    monkeypatch.setattr("unrender.core.batch.journal._MOST_BYTES", 1000)
    (folder / UNDO_NAME).write_bytes(b'{"batch": 1, "asked": "' + b"x" * 2000)
    with pytest.raises(BatchError, match="Line 1 of"):
        undo(folder / UNDO_NAME)


# --- what is refused leaves nothing ---


def test_what_is_refused_leaves_no_notes(tmp_path):
    folder = draw(tmp_path / "pictures", 2)
    (folder / "desc.tar").write_bytes(b"mine")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(BatchError, match="is there already"):
        run(folder, "tar")
    with pytest.raises(SettingsError):
        source = source_named([str(folder / "below")])
        list(Batch(QuickEngine(), source, sink_named("copy", source.root, folder)))
    assert set(tmp_path.rglob("*")) == before


def test_what_is_refused_keeps_the_notes_of_others(tmp_path):
    folder = draw(tmp_path / "pictures", 20)
    with pytest.raises(Cancelled):
        run(folder, "txt", QuickEngine(progress=StopsAfter(3)), mode="best", existing="append")
    (folder / "desc.tar").write_bytes(b"mine")
    before = contents(folder)
    with pytest.raises(BatchError, match="is there already"):
        run(folder, "tar")
    assert contents(folder) == before
    [journal] = (folder / ".unrender").glob("*.jsonl")
    assert journal.name == "txt.jsonl" and journal.stat().st_size
