"""What a run writes: texts beside their pictures, and tables."""

from __future__ import annotations

import csv
import json

import pytest
from batch_runs import QuickEngine
from batch_setting import folder_fixture, run  # noqa: F401
from PIL import Image
from unrender.core.batch import (
    Template,
)
from unrender.core.errors import SettingsError


def test_texts_lie_beside_their_pictures(folder):
    found, outcomes = run(folder, existing="overwrite")
    assert (folder / "0001.txt").read_text() == "a square, number 1"
    assert (folder / "below" / "0003.txt").read_text() == "a square, number 3"
    assert (found.total, found.written, found.failed, found.skipped) == (9, 8, 1, 0)
    assert [outcome.name for outcome in outcomes if outcome.result is None] == ["broken0.png"]
    with (folder / "errors.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{"image": "broken0.png", "error": outcomes[-1].error, "output": "txt"}]
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


@pytest.mark.parametrize("existing", ["skip", "overwrite", "append"])
def test_a_folder_in_the_place_of_a_text_is_no_text(folder, existing):
    (folder / "0001.txt").mkdir()
    _, outcomes = run(folder, existing=existing)
    (failed,) = [outcome for outcome in outcomes if outcome.name == "0001.png"]
    assert "it is a folder" in failed.error
    assert (folder / "0002.txt").is_file() and (folder / "0001.txt").is_dir()


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
        "phrases": [
            {
                **{"text": "a square", "category": "caption", "gain": 0.25, "likelihood": None, "support": None},
                **{"family": "", "runner_up": "", "instead_of": ""},
            }
        ],
        "model": "quick",
        "search": "",
        "bank": "",
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
