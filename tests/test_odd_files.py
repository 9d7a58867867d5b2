"""Links and pipes under names of our own, as a data set may bring them: nothing outside is written, nothing waits."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from pathlib import Path

import pytest
from batch_runs import IN_FOLDERS, QuickEngine, batch, draw
from PIL import Image
from unrender.cli import main
from unrender.core import files
from unrender.core.batch import source_named, undo
from unrender.core.batch.outputs import OUTPUTS
from unrender.core.curate.captions import caption_beside
from unrender.core.embed import PromptEmbedding
from unrender.core.embed.text_projection import read_projection
from unrender.core.errors import BatchError, EmbeddingError, IndexFileError, ModelError, PhraseError, SettingsError
from unrender.core.index.file import changing, index_file
from unrender.core.phrases import read_phrases
from unrender.core.places import check_file, check_folder

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")

LIMIT = 20


@pytest.fixture(autouse=True)
def _nothing_hangs(monkeypatch):
    def late(*_):
        raise AssertionError("it waits for a pipe")

    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def link(path, outside):
    path.symlink_to(outside / "there.txt")


def link_to_nothing(path, outside):
    path.symlink_to(outside / "absent.txt")


def link_to_folder(path, outside):
    path.symlink_to(outside, target_is_directory=True)


def pipe(path, outside):
    os.mkfifo(path)


ODD = (link, link_to_nothing, link_to_folder, pipe)


def existing(kind):
    return {"existing": "append"} if kind == "txt" else {}


def made_by(kind, folder, monkeypatch):
    """Every file and folder that a run makes or changes, in passing too; below the folder's parent."""
    made = []
    opened = os.open

    def record(path, flags, *more, **named):
        if flags & (os.O_WRONLY | os.O_RDWR):
            made.append(Path(path))
        return opened(path, flags, *more, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", record)
        before = set(folder.parent.rglob("*"))
        list(batch(QuickEngine(), folder, kind, **existing(kind)))
    made += [path for path in folder.parent.rglob("*") if path not in before]
    below = {path.relative_to(folder.parent) for path in made if path.is_relative_to(folder.parent)}
    return sorted(below - {Path("made")})  # which the user has named, and may be a link of theirs


@pytest.mark.parametrize("kind", OUTPUTS)
def test_a_run_writes_through_no_link_and_waits_for_no_pipe(tmp_path, kind, monkeypatch):
    if kind == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet files need pyarrow")
    start = draw(tmp_path / "start" / "pictures", 2, broken=1)
    names = made_by(kind, draw(tmp_path / "first" / "pictures", 2, broken=1), monkeypatch)
    assert any(name.name == "errors.csv" for name in names) and any(".unrender" in name.parts for name in names)
    if kind == "txt":
        assert any(name.suffix == ".part" for name in names)
    for number, name in enumerate(names):
        for odd in ODD:
            work, outside = tmp_path / f"{number}-{odd.__name__}", tmp_path / f"outside-{number}-{odd.__name__}"
            shutil.copytree(start, work / "pictures")
            outside.mkdir()
            (outside / "there.txt").write_text("mine")
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            (work / name).unlink(missing_ok=True)
            odd(work / name, outside)
            for resume in (False, True):
                try:
                    list(batch(QuickEngine(), work / "pictures", kind, resume=resume, **existing(kind)))
                except BatchError as error:
                    assert name.name in str(error) or "did not finish" in str(error), error
            assert [path.name for path in outside.iterdir()] == ["there.txt"], (name, odd)
            assert (outside / "there.txt").read_text() == "mine", (name, odd)


def test_a_caption_that_is_a_link_is_replaced_and_not_written_through(tmp_path):
    folder = draw(tmp_path / "pictures", 2)
    (tmp_path / "mine.txt").write_text("mine")
    (folder / "0001.txt").symlink_to(tmp_path / "mine.txt")
    list(batch(QuickEngine(), folder, "txt", existing="overwrite"))
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert not (folder / "0001.txt").is_symlink() and "square" in (folder / "0001.txt").read_text()


def test_the_folder_that_a_user_names_may_be_a_link(tmp_path):
    draw(tmp_path / "pictures", 4)
    (tmp_path / "linked").symlink_to(tmp_path / "pictures", target_is_directory=True)
    list(batch(QuickEngine(), tmp_path / "linked", "txt", existing="overwrite"))
    assert "square" in (tmp_path / "pictures" / "0001.txt").read_text()
    list(batch(QuickEngine(), tmp_path / "linked", "rename"))
    undo(tmp_path / "linked" / "unrender-undo.jsonl")
    assert (tmp_path / "pictures" / "0001.png").is_file()


def test_a_picture_that_is_a_link_has_its_text_beside_the_link(tmp_path):
    draw(tmp_path / "store", 4)
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").symlink_to(tmp_path / "store" / "0001.png")
    list(batch(QuickEngine(), tmp_path / "pictures", "txt"))
    assert (tmp_path / "pictures" / "a.txt").is_file() and not (tmp_path / "store" / "0001.txt").exists()


def test_what_belongs_to_a_picture_is_renamed_along_even_when_it_is_a_pipe(tmp_path):
    folder = draw(tmp_path / "pictures", 2)
    os.mkfifo(folder / "0001.md")
    list(batch(QuickEngine(), folder, "rename"))
    assert (folder / "a square, number 1.md").is_fifo()


# --- what other commands read and write ---


@pytest.mark.parametrize("name", ["pipe", "pipe.csv", "pipe.jsonl", "pipe.tar", "pipe.png"])
def test_a_pipe_is_no_source(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(SettingsError, match="is a pipe or a device"):
        source_named([str(tmp_path / name)])


def test_a_pipe_or_a_device_is_no_place_for_a_result(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "linked.png").symlink_to("/dev/null")
    for path in (tmp_path / "pipe.png", tmp_path / "linked.png", Path("/dev/null")):
        for replaced in (False, True):
            with pytest.raises(SettingsError, match=r"because it is a (pipe|device)"):
                check_file(path, replaced=replaced)
    with pytest.raises(SettingsError, match="because it is a pipe"):
        check_folder(tmp_path, ["pipe.png"])
    with pytest.raises(SettingsError, match="is no folder"):
        check_folder(tmp_path / "pipe.png")


def test_results_replace_a_link_and_not_what_it_leads_to(tmp_path):
    (tmp_path / "mine.png").write_bytes(b"mine")
    (tmp_path / "out.png").symlink_to(tmp_path / "mine.png")
    files.save_picture(Image.new("RGB", (2, 2)), tmp_path / "out.png")
    assert (tmp_path / "mine.png").read_bytes() == b"mine" and not (tmp_path / "out.png").is_symlink()
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (2, 2)
    with pytest.raises(ValueError, match="extension"):
        files.save_picture(Image.new("RGB", (2, 2)), tmp_path / "out.thing")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.png", "out.png"]


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="the superuser may write everywhere")
def test_a_file_in_a_sealed_folder_is_written_in_place(tmp_path):
    (tmp_path / "out.txt").write_text("an old and longer text")
    tmp_path.chmod(0o500)
    files.write_whole(tmp_path / "out.txt", b"new")
    tmp_path.chmod(0o700)
    assert (tmp_path / "out.txt").read_bytes() == b"new"


def test_phrases_are_read_from_no_named_pipe_but_from_what_a_shell_gives(tmp_path):
    os.mkfifo(tmp_path / "phrases.txt")
    with pytest.raises(PhraseError, match="pipe"):
        read_phrases(tmp_path / "phrases.txt")
    for path in (tmp_path / "phrases.txt", "/dev/zero"):
        assert main(["interrogate", "a.png", "--exclude", f"@{path}"]) == 2
    reading, writing = os.pipe()
    threading.Thread(target=lambda: (os.write(writing, b"a cat\na dog\n"), os.close(writing))).start()
    assert read_phrases(Path(f"/dev/fd/{reading}")) == ("a cat", "a dog")
    os.close(reading)


def test_a_caption_that_is_a_pipe_is_none(tmp_path):
    os.mkfifo(tmp_path / "a.txt")
    assert caption_beside(tmp_path / "a.png") == ""


def test_an_embedding_or_a_projection_is_read_from_no_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(EmbeddingError, match="no regular file"):
        PromptEmbedding.load(tmp_path / "pipe.safetensors")
    with pytest.raises(ModelError, match="no regular file"):
        read_projection(tmp_path / "pipe.safetensors")


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", [".unrender", ".unrender/.index.safetensors.lock"])
def test_an_index_is_written_through_no_link(tmp_path, odd, name):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "there.txt").write_text("mine")
    path = tmp_path / "pictures" / name
    path.parent.mkdir(parents=True)
    odd(path, tmp_path / "outside")
    with pytest.raises(IndexFileError, match="cannot be written"), changing(index_file(tmp_path / "pictures")):
        pass
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["there.txt"]
    assert (tmp_path / "outside" / "there.txt").read_text() == "mine"


def test_the_kinds_with_folders_are_known():
    assert {name for name, kind in OUTPUTS.items() if kind.where == "folder"} == set(IN_FOLDERS)
