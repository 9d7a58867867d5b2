"""Runs over many pictures: what goes in, what comes out, and what is refused."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from batch_runs import QuickEngine, batch, contents, draw
from PIL import Image
from unrender.core.batch import (
    Batch,
    FolderSource,
    JoinedSource,
    Shard,
    Template,
    caption_folder,
    sink_named,
    source_named,
    undo,
)
from unrender.core.batch.ahead import CHUNK
from unrender.core.batch.append import AppendFile
from unrender.core.batch.lock import folder_lock
from unrender.core.batch.renaming import UNDO_NAME
from unrender.core.errors import BatchError, Cancelled, SettingsError
from unrender.core.progress import Progress


@pytest.fixture
def folder(tmp_path):
    return draw(tmp_path / "pictures", 8, broken=1)


def run(folder, output="txt", engine=None, **more):
    found = batch(engine or QuickEngine(), folder, output, **more)
    return found, list(found)


# what goes in


def test_a_folder_gives_its_pictures_in_order(folder):
    (folder / "notes.md").write_text("no picture")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / ".cache").mkdir()
    Image.new("RGB", (2, 2)).save(folder / ".cache" / "0000.png")
    names = [item.name for item in FolderSource(folder)]
    assert names == ["0001.png", "0002.png", "0004.png", "0005.png", "0007.png", "broken0.png"]
    deep = [item.name for item in FolderSource(folder, recursive=True)]
    assert deep == [*names[:5], "below/0000.png", "below/0003.png", "below/0006.png", "broken0.png"]
    assert [item.name for item in FolderSource(folder, True, "*6.png")] == ["below/0006.png"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.csv", "image,prompt\n0001.png,old\nbelow/0003.png,old\n"),
        ("list.csv", "0001.png\nbelow/0003.png\n"),
        ("list.tsv", "label\tpath\n1\t0001.png\n2\tbelow/0003.png\n"),
        ("list.jsonl", '{"image": "0001.png"}\n\n{"file_name": "below/0003.png"}\n'),
        ("list.jsonl", '"0001.png"\n"below/0003.png"\n'),
    ],
)
def test_a_list_gives_the_pictures_it_names(folder, name, text):
    (folder / name).write_text(text, encoding="utf-8")
    items = list(source_named([str(folder / name)]))
    assert [item.name for item in items] == ["0001.png", "below/0003.png"]
    assert all(item.open().size == (8, 8) for item in items)


@pytest.mark.parametrize("text", ['{"prompt": "no path"}', '{"image": 7}', "[1", "7"])
def test_a_line_without_a_path_is_named(folder, text):
    (folder / "list.jsonl").write_text('"0001.png"\n' + text)
    with pytest.raises(SettingsError, match=r"Line 2 of .*list\.jsonl"):
        list(source_named([str(folder / "list.jsonl")]))


def test_a_parquet_file_gives_the_pictures_it_names(folder):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"id": [1, 2], "path": ["0001.png", "0002.png"]}), folder / "list.parquet")
    assert [item.name for item in source_named([str(folder / "list.parquet")])] == ["0001.png", "0002.png"]
    parquet.write_table(pyarrow.table({"id": [1, 2]}), folder / "list.parquet")
    with pytest.raises(BatchError, match="no column"):
        list(source_named([str(folder / "list.parquet")]))


def test_patterns_and_files_are_sources_too(folder):
    assert [item.name for item in source_named([str(folder / "000[12].png")])] == ["0001.png", "0002.png"]
    named = source_named([str(folder / "0001.png"), str(folder / "below" / "0003.png")])
    assert [item.name for item in named] == ["0001.png", "below/0003.png"] and named.root == folder


def test_several_sources_tell_equal_names_apart(folder, tmp_path):
    twin = tmp_path / "twin"
    shutil.copytree(folder, twin)
    joined = source_named([str(folder), str(twin)])
    assert isinstance(joined, JoinedSource)
    names = [item.name for item in joined]
    assert len(set(names)) == len(names) == 12 and f"{twin.as_posix()}/0001.png" in names


@pytest.mark.parametrize("name", ["nowhere", "nowhere/*.png", "nowhere.csv"])
def test_what_is_no_source_is_named(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="nowhere"):
        source_named([name])


# what comes out


def test_texts_lie_beside_their_pictures(folder):
    found, outcomes = run(folder, existing="overwrite")
    assert (folder / "0001.txt").read_text() == "a square, number 1"
    assert (folder / "below" / "0003.txt").read_text() == "a square, number 3"
    assert (found.total, found.written, found.failed, found.skipped) == (9, 8, 1, 0)
    assert [outcome.name for outcome in outcomes if outcome.result is None] == ["broken0.png"]
    with (folder / "errors.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"image": "broken0.png", "error": outcomes[-1].error}]
    assert "is text, not a picture" in outcomes[-1].error


@pytest.mark.parametrize(
    ("existing", "text"),
    [
        ("skip", "an old text"),
        ("overwrite", "a square, number 4"),
        ("append", "an old text, a square, number 4"),
        ("prepend", "a square, number 4, an old text"),
    ],
)
def test_what_happens_to_a_text_that_is_there(folder, existing, text):
    found, _ = run(folder, existing=existing)
    assert (folder / "0004.txt").read_text() == text
    assert (folder / "0005.txt").read_text() == "a square, number 0"
    assert found.skipped == (2 if existing == "skip" else 0)


def test_two_pictures_that_share_a_text_are_told(folder):
    Image.new("RGB", (8, 8)).save(folder / "0001.jpg")
    _, outcomes = run(folder, existing="overwrite")
    (failed,) = [outcome for outcome in outcomes if outcome.name == "0001.png"]
    assert failed.result is None and "0001.jpg" in failed.error
    assert (folder / "0001.txt").read_text() == "a square, number 0"


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("ohwx, {prompt}", "ohwx, a square, number 1"),
        ("{name}: {caption}", "0001: a square"),
        ("{{{prompt}}}", "{a square, number 1}"),
    ],
)
def test_a_template_says_what_is_written(folder, template, text):
    run(folder, existing="overwrite", template=Template(template))
    assert (folder / "0001.txt").read_text() == text


@pytest.mark.parametrize("text", ["{prompt", "{promt}", "{prompt!r}", "{prompt:>9}", "{}", "no field", "{0}"])
def test_a_wrong_template_is_refused(text):
    with pytest.raises(SettingsError, match="template"):
        Template(text)


def test_a_table_reads_back(folder):
    engine = QuickEngine(words='say "{}",\nthen = more')
    run(folder, "csv", engine)
    with (folder / "desc.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {"image": "0001.png", "prompt": 'say "1", then = more'} and len(rows) == 8


def test_json_lines_hold_everything(folder):
    _, outcomes = run(folder, "jsonl")
    rows = [json.loads(line) for line in (folder / "desc.jsonl").read_text().splitlines()]
    found = outcomes[0].result
    assert found is not None and rows[0] == {
        "image": "0001.png",
        "prompt": found.prompt,
        "similarity": found.similarity,
        "mode": "fast",
        "caption": "a square",
        "phrases": [{"text": "a square", "category": "caption", "gain": 0.25}],
        "model": "quick",
    }


def test_parquet_holds_what_json_lines_hold(folder):
    parquet = pytest.importorskip("pyarrow.parquet")
    run(folder, "jsonl")
    run(folder, "parquet")
    rows = [json.loads(line) for line in (folder / "desc.jsonl").read_text().splitlines()]
    assert parquet.read_table(folder / "desc.parquet").to_pylist() == [
        {name: row[name] for name in ("image", "prompt", "mode", "caption", "model", "similarity", "phrases")}
        for row in rows
    ]


def test_renaming_takes_what_belongs_along_and_can_be_undone(folder):
    before = contents(folder)
    (folder / "0004.png.json").write_text("too")
    before["0004.png.json"] = b"too"
    run(folder, "rename", existing=None)
    after = contents(folder)
    assert (folder / "a square, number 4.png").read_bytes() == before["0004.png"]
    assert after["a square, number 4.txt"] == b"an old text" and after["a square, number 4.png.json"] == b"too"
    assert {"a square, number 2 (2).png", "a square, number 2.png", "below/a square, number 0.txt"} <= set(after)
    assert sorted(after.values()) == sorted([*before.values(), after["errors.csv"]])
    count, complaints = undo(folder / UNDO_NAME)
    assert contents(folder) == {**before, "errors.csv": after["errors.csv"]}
    assert (count, complaints) == (13, []) and not (folder / UNDO_NAME).exists()


def test_renaming_again_changes_nothing_but_keeps_each_undo_file(folder):
    run(folder, "rename")
    once = contents(folder)
    run(folder, "rename")
    assert {name for name in contents(folder) if "undo" not in name} == set(once)
    undo(folder / UNDO_NAME)
    (folder / "unrender-undo-1.jsonl").rename(folder / UNDO_NAME)
    undo(folder / UNDO_NAME)
    assert "0001.png" in contents(folder)


def test_undo_never_overwrites(folder):
    run(folder, "rename")
    (folder / "0001.png").write_bytes(b"new")
    count, complaints = undo(folder / UNDO_NAME)
    assert len(complaints) == 1 and "0001.png" in complaints[0] and count == 11
    assert (folder / "0001.png").read_bytes() == b"new" and (folder / UNDO_NAME).exists()


def test_copies_leave_the_sources_alone(folder):
    before = contents(folder)
    run(folder, "copy")
    run(folder, "copy")
    assert contents(folder) == before
    made = contents(folder.parent / "made")
    assert made["a square, number 1.png"] == before["0001.png"] and "a square, number 1 (2).png" in made


def xmp_segment(jpeg):
    """Which Pillow's older versions have among the segments alone."""
    name = b"http://ns.adobe.com/xap/1.0/\0"
    return next(data for _, data in jpeg.applist if data.startswith(name)).removeprefix(name).decode()


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_copy_holds_its_prompt_and_the_same_pixels(tmp_path, suffix):
    folder = draw(tmp_path / "pictures", 4, suffix=suffix)
    run(folder, "xmp", QuickEngine(words="a <b> & „c“"))
    copy = tmp_path / "made" / f"0001{suffix}"
    with Image.open(copy) as made, Image.open(folder / f"0001{suffix}") as source:
        assert made.tobytes() == source.tobytes()
        packet = made.info["XML:com.adobe.xmp"] if suffix == ".png" else xmp_segment(made)
        assert suffix != ".png" or made.info["Description"] == "a <b> & „c“"
    root = ElementTree.fromstring(packet.split("?>", 1)[1].rsplit("<?", 1)[0])
    texts = [element.text for element in root.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li")]
    assert texts == ["a <b> & „c“"]
    assert (tmp_path / "made" / "below" / f"0003{suffix}").is_file()


def test_a_copy_without_a_place_for_a_description_gets_a_file_beside_it(tmp_path):
    folder = draw(tmp_path / "pictures", 2, suffix=".bmp")
    run(folder, "xmp")
    assert (tmp_path / "made" / "0001.bmp").read_bytes() == (folder / "0001.bmp").read_bytes()
    assert b"a square, number 1" in (tmp_path / "made" / "0001.bmp.xmp").read_bytes()


def test_described_copies_described_again_keep_their_packet(tmp_path):
    folder = draw(tmp_path / "pictures", 2)
    run(folder, "xmp")
    again = source_named([str(tmp_path / "made")])
    list(Batch(QuickEngine(), again, sink_named("xmp", again.root, tmp_path / "more")))
    assert (tmp_path / "more" / "0001.png").read_bytes() == (tmp_path / "made" / "0001.png").read_bytes()
    assert (tmp_path / "more" / "0001.png.xmp").is_file()


def test_samples_of_a_tar_file_come_back_with_prompts(folder, tmp_path):
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        for name, data in [
            ("a/0001.png", (folder / "0001.png").read_bytes()),
            ("a/0001.cls", b"7"),
            ("a/0001.txt", b"old"),
            ("lone.json", b"{}"),
            ("0002.seg.png", (folder / "0002.png").read_bytes()),
        ]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    source = source_named([str(tmp_path / "in.tar")])
    assert [item.name for item in source] == ["in.tar/a/0001.png", "in.tar/0002.seg.png"]
    list(Batch(QuickEngine(), source, sink_named("tar", source.root, tmp_path / "out.tar")))
    with tarfile.open(tmp_path / "out.tar") as tar:
        made = {member.name: tar.extractfile(member).read() for member in tar}  # pyright: ignore
    assert list(made) == ["a/0001.png", "a/0001.cls", "a/0001.txt", "0002.seg.png", "0002.txt"]
    assert made["a/0001.txt"] == b"a square, number 1" and made["a/0001.cls"] == b"7"
    assert made["a/0001.png"] == (folder / "0001.png").read_bytes()


def test_a_compressed_tar_file_is_refused(folder, tmp_path):
    with tarfile.open(tmp_path / "in.tar", "w:gz") as tar:
        tar.add(folder / "0001.png", "0001.png")
    with pytest.raises(SettingsError, match="without compression"):
        list(source_named([str(tmp_path / "in.tar")]))


def test_pictures_of_a_tar_file_have_no_place_for_texts(folder, tmp_path):
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        tar.add(folder / "0001.png", "0001.png")
    source = source_named([str(tmp_path / "in.tar")])
    with pytest.raises(SettingsError, match="no file of its own"):
        list(Batch(QuickEngine(), source, sink_named("txt", source.root)))


# what is shown and refused


def test_a_dry_run_writes_nothing(folder):
    before = contents(folder)
    source = source_named([str(folder)])
    sink = sink_named("rename", source.root)
    found = Batch(QuickEngine(), source, sink, "fast", dry_run=True)
    shown = [sink.shown(outcome) for outcome in found if outcome.result]
    assert shown[:2] == ["a square, number 1.png", "a square, number 2.png"] and "a square, number 2 (2).png" in shown
    assert contents(folder) == before and not (folder / ".unrender").exists()


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


# what goes wrong


class StopsAfter(Progress):
    def __init__(self, steps):
        self.left = steps

    def check(self):
        self.left -= 1
        if self.left < 0:
            raise Cancelled


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
    assert {row[0] for row in rows[1:]} == {path.name for path in folder.glob("*.png")}
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


# one call for doors


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
