"""A picture or a folder without a command, what lies below a folder, and what is said of what was written."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from PIL import Image
from unrender.cli import guessed, main
from unrender.cli.vary import _places
from unrender.core.batch import source_named
from unrender.core.errors import SettingsError
from unrender.core.files import save_picture
from unrender.core.metadata import read_metadata
from unrender.core.micro.drawing import draw
from unrender.core.micro.world import Scene
from unrender.core.published import USUAL_TAGGER
from unrender.core.variation.pictures import FORMATS, with_text

MICRO = ["--clip", "micro", "--device", "cpu", "--mode", "fast"]
COMMANDS = ("interrogate", "batch", "models", "metadata")


@pytest.fixture(name="place")
def place_fixture(tmp_path, monkeypatch):
    """A folder with two pictures, one of them in a folder below, in the folder that the test runs in."""
    picture, _ = draw(Scene("star", "red", "two", "meadow", "oil", "una"), 3)
    for name in ("photos/a.png", "photos/below/b.png", "photos/below/.hidden/c.png", "elsewhere/none.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(path) if name.endswith("png") else path.write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("photos/a.png", "interrogate photos/a.png"),
        ("nowhere.JPG --json", "interrogate nowhere.JPG --json"),
        ("*.webp", "interrogate *.webp"),
        ("photos/*", "interrogate photos/*"),  # as Windows leaves it
        ("nowhere/*", "nowhere/*"),
        ("https://example.com/picture?id=3", "interrogate https://example.com/picture?id=3"),
        ("s3://bucket/photos", "interrogate s3://bucket/photos"),
        ("-", "interrogate -"),
        ("--clip micro photos/a.png", "interrogate --clip micro photos/a.png"),
        ("photos", "batch photos"),
        ("photos/ --recursive", "batch photos/ --recursive"),
        ("--recursive photos", "batch --recursive photos"),
        ("metadata photos/a.png", "metadata photos/a.png"),
        ("metdata photos/a.png", "metdata photos/a.png"),
        ("--version", "--version"),
        ("-h", "-h"),
        ("--clip micro", "--clip micro"),
        ("", ""),
    ],
)
def test_the_command_that_is_meant(place, typed, meant):
    assert list(guessed.with_command(typed.split(), COMMANDS)) == meant.split()


def test_a_command_wins_over_a_folder_of_its_name(place):
    (place / "models").mkdir()
    assert list(guessed.with_command(["models"], COMMANDS)) == ["models"]


def test_a_bare_folder_is_described_and_told_what_that_is(place, capsys):
    assert main(["photos", *MICRO]) == 0
    out, err = capsys.readouterr()
    assert out == "" and "`unrender batch`" in err and (place / "photos" / "a.txt").read_text()
    assert not (place / "photos" / "below" / "b.txt").exists()
    assert "1 picture in folders below photos" in err and "--recursive" in err
    assert "1 picture in " in err and "beside the picture" in err


def test_a_run_through_all_folders_says_nothing_of_those_below(place, capsys):
    assert main(["batch", "photos", "--recursive", *MICRO]) == 0
    err = capsys.readouterr().err
    assert "left out" not in err and "2 pictures in " in err


def test_only_what_would_be_taken_counts_as_below(place):
    assert source_named(["photos"]).below(10) == 1
    assert source_named(["photos"], pattern="*.jpg").below(10) == 0
    assert source_named(["photos"], recursive=True).below(10) == 0


def test_interrogating_a_folder_names_batch(place, capsys):
    assert main(["interrogate", "photos", *MICRO]) == 1
    assert "`unrender batch FOLDER`" in capsys.readouterr().err


@pytest.mark.parametrize("sources", [["photos"], ["photos/a.png", "photos/below"], ["photos/a.png"]])
@pytest.mark.parametrize("output", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("where", ["elsewhere", "photos/below", "."])
def test_a_table_is_a_list_of_its_pictures_wherever_it_lies(place, sources, output, where, capsys):
    if output == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet files need it")
    table = Path(where, f"found.{output}")
    assert main(["batch", *sources, "--recursive", "--output", output, "-o", str(table), *MICRO]) == 0
    assert f"written to {table}" in capsys.readouterr().err
    items = list(source_named([str(table)]))
    assert len(items) == (1 if sources == ["photos/a.png"] else 2)
    assert all(item.file.is_file() for item in items), [item.name for item in items]


def test_a_list_of_failures_is_one_of_its_pictures_too(place, capsys):
    (place / "photos" / "bad.png").write_bytes(b"no picture")
    assert main(["batch", "photos", "--output", "csv", "-o", "elsewhere/found.csv", *MICRO]) == 1
    failed = list(source_named(["elsewhere/errors.csv"]))
    assert [item.file.resolve() for item in failed] == [place / "photos" / "bad.png"]


def test_findings_in_a_folder_are_found_from_their_table(place, capsys):
    Image.open("photos/a.png").save("photos/copy.png")
    assert main(["index", "photos", "--clip", "micro", "--device", "cpu"]) == 0
    assert main(["curate", "photos", "-o", "report", "--device", "cpu"]) == 0
    err = capsys.readouterr().err
    assert "curation.csv" in err and "report" in err
    with (place / "report" / "curation.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "duplicate"]
    assert rows and all(
        (place / "report" / row[column]).is_file() for row in rows for column in ("image", "other") if row[column]
    )
    assert all(item.file.is_file() for item in source_named(["report/curation.csv"]))


def test_a_search_names_pictures_from_where_it_ran(place, capsys):
    assert main(["index", "photos", "--clip", "micro", "--device", "cpu"]) == 0
    capsys.readouterr()
    assert main(["search", "photos", "a star", "--csv", "--device", "cpu"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 2 and all(Path(row["image"]).is_file() for row in rows)


def test_a_variation_has_the_format_of_its_name(tmp_path):
    text = "in winter, 冬\nSteps: 20, Seed: 7"
    for ending in (*FORMATS, ".JPG"):
        path = tmp_path / f"x{ending}"
        assert _places(path, 1, []) == [path]
        save_picture(Image.new("RGB", (64, 64), "red"), path, **with_text(text, path))
        expected = {".png": "PNG", ".webp": "WEBP"}.get(ending, "JPEG")
        assert Image.open(path).format == expected
        found = read_metadata(path)
        assert found is not None and found.prompt == "in winter, 冬" and str(found.seed) == "7"


@pytest.mark.parametrize("name", ["x.gif", "x.bmp", "x.HEIC"])
def test_a_format_that_holds_no_settings_is_refused_before_rendering(tmp_path, name):
    with pytest.raises(SettingsError, match=r"PNG, JPEG or WebP.*out\.jpg"):
        _places(tmp_path / name, 1, [])


def test_several_pictures_do_not_go_into_one_file(tmp_path):
    with pytest.raises(SettingsError, match="2 pictures"):
        _places(tmp_path / "x.jpg", 2, [])
    assert _places(tmp_path / "out.v2", 1, []) == [tmp_path / "out.v2" / "0001.png"]


def test_what_lies_in_a_file_is_said(place, capsys):
    assert main(["locate", "photos/a.png", "a star", "--plot", "where.png", "--clip", "micro", "--device", "cpu"]) == 0
    assert "written to where.png" in capsys.readouterr().err and (place / "where.png").is_file()
    command = ["embed", "photos/a.png", "-o", "x.safetensors", "--for", "micro", "--device", "cpu"]
    assert main(command) == 0
    assert "written to x.safetensors" in capsys.readouterr().err


def test_micro_is_called_a_toy_on_what_it_does_not_know(place, capsys):
    Image.new("RGB", (640, 480), "navy").save("photo.jpg")
    for command in (["interrogate", "photo.jpg", "--json", "--mode", "fast"], ["match", "photo.jpg", "a cat"]):
        assert main([*command, "--clip", "micro", "--device", "cpu"]) == 0
        out, err = capsys.readouterr()
        assert (
            err.count("is a toy") == 1 and f"unrender {command[0]}" in err and "ViT-L-14/openai" in err and "GB" in err
        )
        assert "toy" not in out
        assert ("blip-large" in err) == (command[0] == "interrogate"), "match needs no captioner"
    assert main(["interrogate", "photos/a.png", *MICRO]) == 0
    assert "toy" not in capsys.readouterr().err, "that is one of its own drawings"


def test_a_variation_by_micro_is_called_a_toy_s_too(place, capsys):
    pytest.importorskip("diffusers")
    Image.new("RGB", (640, 480), "navy").save("photo.jpg")
    vary = ["vary", "photo.jpg", "-o", "v.png", "--checkpoint", "micro", "--steps", "1", "--device", "cpu"]
    assert main(vary) == 0
    err = capsys.readouterr().err
    assert "no --checkpoint micro: stable-diffusion-v1-5/stable-diffusion-v1-5, a download of 4.3 GB" in err


def test_for_tags_a_real_tagger_is_named_in_the_toy_s_place(place, capsys):
    Image.new("RGB", (640, 480), "navy").save("photo.jpg")
    assert main(["interrogate", "photo.jpg", "--clip", "micro", "--mode", "tags"]) == 0
    err = capsys.readouterr().err
    assert err.count("is a toy") == 1 and USUAL_TAGGER in err and "blip-large" not in err and "GB" in err


def test_lines_of_json_have_the_table_s_place_too(place):
    assert main(["batch", "photos", "--output", "jsonl", "-o", "elsewhere/found.jsonl", *MICRO]) == 0
    assert json.loads((place / "elsewhere" / "found.jsonl").read_text())["image"] == "../photos/a.png"
