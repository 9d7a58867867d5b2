"""What a run refuses before it begins: a second run, others' files, what does not go together, wrong shards."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from batch_runs import QuickEngine, batch, contents
from batch_setting import folder_fixture, run  # noqa: F401
from unrender.core.batch import (
    Batch,
    Shard,
    sink_named,
    source_named,
)
from unrender.core.batch.lock import folder_lock
from unrender.core.errors import BatchError, SettingsError


def test_shards_share_the_pictures_out(folder):
    engine = QuickEngine()
    source = source_named([str(folder)], True)
    for index in (1, 2, 3):
        shard = Shard(index, 3)
        list(Batch(engine, source, sink_named("csv", folder, shard=shard), shard=shard))
    names = [
        row["image"]
        for index in (1, 2, 3)
        for row in csv.DictReader((folder / f"desc-{index}of3.csv").read_text().splitlines())
    ]
    assert sorted(names) == [item.name for item in source if "broken" not in item.name]
    assert len(list(folder.glob("errors-?of3.csv"))) == 1


def test_a_shard_is_the_same_everywhere():
    assert [Shard(2, 3).holds(name) for name in ("a", "b", "c", "é", "\udcff")] == [True, True, False, False, False]


@pytest.mark.parametrize(("index", "count"), [(0, 3), (4, 3), (1, 0)])
def test_a_shard_that_is_none_is_refused(index, count):
    with pytest.raises(SettingsError, match="shard"):
        Shard(index, count)


def test_a_second_run_in_a_folder_is_refused_while_the_first_is_at_work(folder):
    first = iter(batch(QuickEngine(), folder, "csv"))
    next(first)
    with pytest.raises(BatchError, match="Another run is at work"):
        run(folder, "txt")
    with pytest.raises(BatchError, match="Another run is at work"):
        run(folder, "txt", shard=Shard(1, 2))
    list(first)
    run(folder, "txt")


def test_shards_of_one_folder_run_side_by_side(folder):
    with folder_lock(folder, "1of2"), folder_lock(folder, "2of2"):
        with pytest.raises(BatchError), folder_lock(folder, "2of2"):
            pass
        with pytest.raises(BatchError), folder_lock(folder):
            pass


def test_a_table_that_is_there_is_not_overwritten(folder):
    (folder / "desc.csv").write_text("mine")
    with pytest.raises(BatchError, match=r"desc\.csv is there already"):
        run(folder, "csv")
    assert (folder / "desc.csv").read_text() == "mine"
    run(folder, "csv", existing="overwrite")
    assert (folder / "desc.csv").read_text().startswith("image,prompt")


def test_a_list_of_errors_that_is_someone_elses_is_not_overwritten(folder):
    (folder / "errors.csv").write_text("mine")
    with pytest.raises(BatchError, match=r"errors\.csv"):
        run(folder)
    assert (folder / "errors.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("output", "more"),
    [
        ("txt", {"place": Path("x")}),
        ("rename", {"place": Path("x")}),
        ("copy", {}),
        ("xmp", {}),
        ("csv", {"existing": "append"}),
        ("rename", {"existing": "skip"}),
        ("txt", {"existing": "sometimes"}),
        ("png", {}),
    ],
)
def test_what_does_not_go_together_is_refused(output, more, tmp_path):
    with pytest.raises(SettingsError):
        sink_named(output, tmp_path, **more)


def test_copies_into_the_sources_folder_are_refused(folder):
    source = source_named([str(folder / "below")])
    for place in (folder, folder / "below"):
        with pytest.raises(SettingsError, match="holds the pictures themselves"):
            list(Batch(QuickEngine(), source, sink_named("copy", source.root, place)))


@pytest.mark.parametrize("output", ["rename", "copy"])
def test_names_are_not_chosen_in_shards(folder, output):
    with pytest.raises(SettingsError, match="shard"):
        batch(QuickEngine(), folder, output, shard=Shard(1, 2))


def test_shards_of_texts_are_gone_on_with_each_by_itself(folder):
    before = set(contents(folder))
    runs = [iter(batch(QuickEngine(), folder, mode="best", shard=Shard(index, 2))) for index in (1, 2)]
    for _ in range(2):
        for each in runs:
            next(each)
    for each in runs:
        each.close()  # pyright: ignore[reportAttributeAccessIssue]
    later = [run(folder, mode="best", shard=Shard(index, 2), resume=True)[0] for index in (1, 2)]
    assert sum(found.written for found in later) < 6
    pictures = {Path(name).with_suffix(".txt").as_posix() for name in before if name.endswith(".png")}
    made = {name for name in contents(folder) if name.endswith(".txt")}
    assert made == pictures - {"broken0.txt"}
