"""`unrender analyze` and `unrender match` on the toy model, as scripts and people meet them."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from unrender.cli import main
from unrender.cli.match import pictures_and_phrases
from unrender.core.errors import ImageError
from unrender.core.micro.pictures import render
from unrender.core.micro.tags import RATINGS, tags_of
from unrender.core.study.analyze import shared_tags
from unrender.core.tags import Tag


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two of micro's test pictures, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, pixels in enumerate(render("test", 2).pixels):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"not a picture")
    return folder


@pytest.fixture(autouse=True)
def _there(folder, monkeypatch):
    monkeypatch.chdir(folder)


def run(capsys, *arguments):
    """Exit status, standard output, standard error."""
    status = main([*arguments, "--clip", "micro", "--device", "cpu"])
    return status, *capsys.readouterr()


def test_a_table(capsys):
    status, out, error = run(capsys, "analyze", "0.png", "--top", "2")
    lines = out.splitlines()
    assert status == 0 and error == ""
    assert lines[:2] == ["0.png", "mediums  of 28"]
    assert "watercolor" in lines[2] and lines[2].lstrip()[0].isdigit()
    assert sum(line.startswith("Artists: what the model associates") for line in lines) == 1
    assert [line.split("  of")[0] for line in lines if "  of " in line] == ["mediums", "artists", "flavors"]


def test_one_bad_picture_does_not_stop_the_others(capsys):
    status, out, error = run(capsys, "analyze", "0.png", "broken.png", "1.png", "--json", "--categories", "medium")
    assert status == 1 and error.count("\n") == 1 and "broken.png" in error
    values = [json.loads(line) for line in out.splitlines()]
    assert [value["image"] for value in values] == ["0.png", "1.png"]
    assert [category["category"] for category in values[0]["categories"]] == ["mediums"]
    assert "watercolor" in values[0]["categories"][0]["top"][0]["phrase"]


def test_csv(capsys):
    status, out, _ = run(capsys, "analyze", "0.png", "1.png", "--csv", "--categories", "colours,surfaces", "--top", "3")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert status == 0 and len(rows) == 12
    assert rows[0]["image"] == "0.png" and rows[0]["category"] == "colours" and rows[0]["phrase"] == "red"
    assert {row["rank"] for row in rows} == {"1", "2", "3"} and 0 < float(rows[0]["likelihood"]) < 1


def test_tags_by_category(capsys, monkeypatch):
    pytest.importorskip("timm", reason="timm computes the tagger")
    first = tags_of(render("test", 1).scenes[0])
    asked = ("analyze", "0.png", "--tagger", "micro-tagger")
    status, out, error = run(capsys, *asked, "--categories", "medium", "--top", "1", "--json")
    value = json.loads(out)
    assert status == 0 and error == "" and [each["category"] for each in value["categories"]] == ["mediums"]
    assert (value["tagger"], value["rating"]) == ("micro-tagger", first["rating"][0])
    said = {each["name"]: each for each in value["tags"]}
    assert said[first["general"][-1]]["category"] == "general" and 0.35 <= said[first["general"][-1]]["confidence"] <= 1

    status, out, _ = run(capsys, *asked, "--categories", "medium", "--top", "1", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert rows[0]["category"] == "mediums" and rows[0]["confidence"] == "" != rows[0]["likelihood"]
    assert (rows[1]["category"], rows[1]["phrase"], rows[1]["rank"]) == ("rating", first["rating"][0], "1")
    assert float(rows[1]["confidence"]) > 0.5 and rows[1]["likelihood"] == ""

    def refused(*_):
        raise AssertionError("no CLIP is needed for tags")

    monkeypatch.setattr("unrender.core.loading.EngineModels.clip", refused)
    status, out, error = run(capsys, *asked, "--categories", "tags")
    lines = out.splitlines()
    assert status == 0 and error == "" and lines[:2] == ["0.png", "rating  by micro-tagger"]
    assert lines[2].split("  ")[-1] == first["rating"][0] and "general tags  by micro-tagger" in lines


def test_tags_of_pictures_together_are_those_of_each(capsys):
    pytest.importorskip("timm", reason="timm computes the tagger")
    asked = ("analyze", "0.png", "1.png", "--tagger", "micro-tagger", "--categories", "tags", "--json")
    each = [
        {tag["name"]: tag["confidence"] for tag in json.loads(line)["tags"]}
        for line in run(capsys, *asked)[1].splitlines()
    ]
    status, out, _ = run(capsys, *asked, "--together", "--weights", "3,1")
    found = {tag["name"]: tag["confidence"] for tag in json.loads(out)["tags"]}
    assert status == 0 and found.keys() == each[0].keys() & each[1].keys() >= set(RATINGS)
    for name, confidence in found.items():
        assert confidence == pytest.approx((3 * each[0][name] + each[1][name]) / 4)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.floats(0, 1), max_size=3), min_size=1, max_size=4))
def test_shared_tags_are_everyones_with_the_mean_confidence(each):
    found = shared_tags([[Tag(name, value) for name, value in one.items()] for one in each])
    assert {tag.name for tag in found} == set.intersection(*map(set, each))
    for tag in found:
        assert tag.confidence == pytest.approx(sum(one[tag.name] for one in each) / len(each))


def test_together(capsys):
    status, out, _ = run(capsys, "analyze", "0.png", "1.png", "--together", "--weights", "1,0", "--json", "--top", "1")
    value = json.loads(out)
    assert status == 0 and value["images"] == ["0.png", "1.png"] and value["pictures"] == 2
    assert "watercolor" in value["categories"][0]["top"][0]["phrase"]
    status, _, error = run(capsys, "analyze", "0.png", "broken.png", "--together")
    assert status == 1 and "broken.png" in error


def test_interrogate_together(capsys):
    status, out, _ = run(capsys, "interrogate", "0.png", "1.png", "--together", "--mode", "fast", "--caption", "x")
    assert status == 0 and out.startswith("x, ") and out.count("\n") == 1


@pytest.mark.parametrize(
    "arguments, status, named",
    [
        (["analyze", "0.png", "--top", "0"], 2, "top is 0"),
        (["analyze", "0.png", "--categories", "tags"], 2, "--tagger"),
        (["analyze", "0.png", "--tagger", "micro", "--categories", "tags"], 2, "writes texts"),
        (["analyze", "0.png", "--tagger", "micro-tagger", "--categories", "tags", "--plot", "x.png"], 2, "--plot"),
        (["analyze", "0.png", "--categories", "surfacez"], 1, "no category 'surfacez'"),
        (["analyze", "0.png", "--categories", ","], 1, "No category is named"),
        (["analyze", "0.png", "--weights", "1"], 2, "--together"),
        (["analyze", "0.png", "1.png", "--together", "--weights", "1"], 2, "1 weight for 2 pictures"),
        (["interrogate", "0.png", "--weights", "1"], 2, "--together"),
        (["analyze", "0.png", "--plot", "chart.gif"], 2, "png or svg"),
        (["match", "0.png"], 2, "no phrases"),
        (["match", "a cat"], 2, "name a picture"),
        (["match", "0.png", "a cat", "--template", "a photo"], 2, "no {}"),
        (["match", "0.png", "photo.JPG"], 1, "no picture photo.JPG"),
        (["match", "0.png", "a cat", "--phrases", "absent.txt"], 2, "absent.txt"),
        (["match", "0.png", "a cat", "--top", "0"], 2, "--top is 0"),
    ],
)
def test_wrong_input_gets_one_sentence(capsys, arguments, status, named):
    found, out, error = run(capsys, *arguments)
    assert (found, out) == (status, "")
    assert named in error and error.count("\n") == 1 and error.count(". ") == 0


@pytest.mark.parametrize("form", ["png", "svg"])
def test_a_chart_for_each_picture(capsys, tmp_path, form):
    pytest.importorskip("matplotlib")
    target = tmp_path / f"chart.{form}"
    assert run(capsys, "analyze", "0.png", "1.png", "--plot", str(target), "--dark")[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {f"chart-1.{form}", f"chart-2.{form}"}
    assert run(capsys, "analyze", "0.png", "1.png", "--together", "--plot", str(target))[0] == 0
    assert target.stat().st_size > 10_000


def test_one_picture_and_its_phrases(capsys):
    status, out, _ = run(capsys, "match", "0.png", "a green heart", "three red crosses", "--phrase", "0.png")
    lines = out.splitlines()
    assert status == 0 and lines[0] == "0.png" and lines[1].endswith("three red crosses")
    assert len(lines) == 5 and lines[4] == ""


def test_a_matrix_both_ways(capsys, folder):
    (folder / "poem.txt").write_text("three red crosses\n\n two pink triangles\n", encoding="utf-8")
    status, out, _ = run(capsys, "match", "[01].png", "--phrases", "poem.txt", "--json")
    value = json.loads(out)
    assert status == 0 and value["images"] == ["0.png", "1.png"]
    assert value["phrases"] == ["three red crosses", "two pink triangles"]
    table = value["phrase_likelihoods"]
    assert table[0][0] > table[0][1] and table[1][1] > table[1][0]
    _, out, _ = run(capsys, "match", "0.png", "1.png", "--phrases", "poem.txt", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["image"] for row in rows] == ["0.png", "0.png", "1.png", "1.png"]
    assert float(rows[3]["phrase_likelihood"]) == table[1][1]
    _, out, _ = run(capsys, "match", "0.png", "1.png", "--phrases", "poem.txt")
    assert out.split("\n\n")[3].splitlines()[0] == "two pink triangles"
    assert out.split("\n\n")[3].splitlines()[1].endswith("1.png")


def test_pictures_are_told_from_phrases():
    long = "word " * 200
    found = pictures_and_phrases(["0.png", "-", "a cat?", long, "v1.5", "[0-1].png"])
    assert found == (["0.png", "-", "0.png", "1.png"], ["a cat?", long, "v1.5"])
    with pytest.raises(ImageError, match="--phrase"):
        pictures_and_phrases(["typo.webp"])


@pytest.mark.parametrize("command", ["analyze", "match"])
def test_help_imports_nothing_heavy(command):
    script = (
        "import sys\n"
        "from unrender.cli import main\n"
        "try:\n"
        f"    main([{command!r}, '--help'])\n"
        "except SystemExit as end:\n"
        "    assert end.code == 0\n"
        "print('HEAVY', [name for name in ('torch', 'numpy', 'PIL', 'matplotlib') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, encoding="utf-8", check=True)
    assert f"{command} IMAGE..." in shown.stdout and shown.stdout.endswith("HEAVY []\n")
