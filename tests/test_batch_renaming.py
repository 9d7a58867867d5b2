"""Pictures that are renamed, with the way back, and copies that hold their prompt."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from batch_runs import QuickEngine, contents, draw
from batch_setting import folder_fixture, run  # noqa: F401
from PIL import Image
from unrender.core.batch import (
    Batch,
    sink_named,
    source_named,
    undo,
)
from unrender.core.batch.renaming import UNDO_NAME


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
