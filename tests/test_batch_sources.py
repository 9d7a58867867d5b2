"""What goes into a run: folders, lists, patterns, and tar files whose samples come back with prompts."""

from __future__ import annotations

import io
import shutil
import tarfile

import pytest
from batch_runs import QuickEngine
from batch_setting import folder_fixture  # noqa: F401
from PIL import Image
from unrender.core.batch import (
    Batch,
    FolderSource,
    JoinedSource,
    sink_named,
    source_named,
)
from unrender.core.errors import BatchError, SettingsError


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
