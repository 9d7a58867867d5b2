"""Pictures in stores that have addresses, seen by the one that every machine has: file://."""

from __future__ import annotations

import pickle

import pytest
from batch_runs import QuickEngine, contents, draw
from unrender.core.batch import Batch, sink_named, source_named
from unrender.core.errors import ImageError, SettingsError

pytest.importorskip("pyarrow.fs", reason="addresses need pyarrow")


@pytest.fixture
def folder(tmp_path):
    folder = draw(tmp_path / "pictures", 20, broken=1)
    hidden = folder / ".cache"
    hidden.mkdir()
    (hidden / "0001.png").write_bytes((folder / "0001.png").read_bytes())
    return folder


def table(source, place):
    sink = sink_named("jsonl", place, place / "desc.jsonl")
    list(Batch(QuickEngine(), source, sink, "fast"))  # pyright: ignore[reportArgumentType]
    return {name: data for name, data in contents(place).items() if name.startswith(("desc", "errors"))}


@pytest.mark.parametrize(("recursive", "pattern", "count"), [(True, "*", 20), (False, "*", 13), (True, "00*5.png", 2)])
def test_an_address_holds_what_its_folder_does(folder, tmp_path, recursive, pattern, count):
    here = table(source_named([str(folder)], recursive, pattern), tmp_path / "here")
    there = table(source_named([folder.as_uri() + "/"], recursive, pattern), tmp_path / "there")
    assert there == here and len(there["desc.jsonl"].splitlines()) == count


def test_several_addresses_are_told_apart(folder):
    other = draw(folder.parent / "other", 3)
    items = list(source_named([folder.as_uri(), other.as_uri()]))
    assert [item.name for item in items[-2:]] == [f"{other.as_posix()}/000{number}.png" for number in (1, 2)]
    assert items[-1].open().getpixel((0, 0)) == (2, 0, 0) and len({item.name for item in items}) == 16


def test_a_list_may_hold_addresses(folder):
    listed = folder.parent / "list.csv"
    listed.write_text(f"image\n{(folder / '0001.png').as_uri()}\npictures/0002.png\nnowhere://bucket/3.png\n")
    first, second, third = source_named([str(listed)])
    assert [item.open().getpixel((0, 0))[0] for item in (first, second)] == [1, 2]
    assert first.name == (folder / "0001.png").as_uri()
    with pytest.raises(ImageError, match="check the address"):
        third.open()


def test_a_picture_can_be_sent_to_another_process(folder):
    item = next(iter(source_named([folder.as_uri()])))
    assert pickle.loads(pickle.dumps(item)).read() == item.read() == (folder / item.name).read_bytes()


def test_a_picture_that_is_gone_is_a_failure(folder):
    item = next(iter(source_named([folder.as_uri()])))
    (folder / item.name).unlink()
    with pytest.raises(ImageError, match=item.name):
        item.open()


def test_what_has_no_file_of_its_own_gets_no_text_beside_it(folder):
    source = source_named([folder.as_uri()])
    batch = Batch(QuickEngine(), source, sink_named("txt", folder), "fast")  # pyright: ignore[reportArgumentType]
    with pytest.raises(SettingsError, match="no file of its own"):
        list(batch)


@pytest.mark.parametrize("address", ["nowhere://bucket/folder", "file:///no/such/folder"])
def test_a_wrong_address_is_a_sentence(address):
    with pytest.raises(SettingsError, match="check the address"):
        list(source_named([address]))
