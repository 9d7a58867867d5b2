"""`unrender batch`, with the toy model."""

from __future__ import annotations

import csv
import json
import os
import signal
import time

import pytest
from batch_runs import contents
from PIL import Image
from unrender.cli import main
from unrender.core.batch import Batch, caption_folder, sink_named, source_named
from unrender.core.engine import Engine
from unrender.core.micro.pictures import render
from unrender.core.settings import Settings

MICRO = ("--clip", "micro", "--device", "cpu", "--mode", "fast")


@pytest.fixture(scope="module")
def drawings(tmp_path_factory):
    """Eight of micro's test pictures, of two sizes, and a file that is none."""
    folder = tmp_path_factory.mktemp("drawings")
    for number, pixels in enumerate(render("test", 8).pixels):
        picture = Image.fromarray(pixels.permute(1, 2, 0).numpy())
        (picture if number % 2 else picture.resize((96, 80))).save(folder / f"{number:03}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def folder(drawings, tmp_path):
    twin = tmp_path / "input" / "drawings"
    twin.mkdir(parents=True)
    for path in drawings.iterdir():
        (twin / path.name).write_bytes(path.read_bytes())
    return twin


@pytest.fixture(scope="module")
def engine():
    with Engine(Settings(clip="micro", captioner="micro", device="cpu")) as engine:
        yield engine


def test_prompts_are_those_of_each_picture_alone(engine, drawings, tmp_path):
    source = source_named([str(drawings)])
    outcomes = list(Batch(engine, source, sink_named("csv", drawings, tmp_path / "desc.csv"), "fast"))
    assert len(outcomes) == 9 and outcomes[-1].result is None
    for outcome in outcomes[:-1:4]:
        alone = engine.interrogate(drawings / outcome.name, "fast")
        found = outcome.result
        assert (found.prompt, found.caption) == (alone.prompt, alone.caption)
        assert found.similarity == pytest.approx(alone.similarity, abs=1e-5)


def test_a_folder_becomes_a_table(folder, capsys):
    assert main(["batch", str(folder), "--output", "csv", *MICRO]) == 1
    out, err = capsys.readouterr()
    assert out == "" and "broken.png" in err
    assert "a second" in err and "1 failed, see" in err and "errors.csv" in err
    with (folder / "desc.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [f"{number:03}.png" for number in range(8)]
    assert all(row["prompt"] for row in rows)


def test_a_dry_run_shows_names_and_a_run_can_be_undone(folder, capsys):
    before = contents(folder)
    command = ["batch", str(folder), "--output", "rename", "--glob", "00[0-3].png", *MICRO]
    assert main([*command, "--dry-run"]) == 0
    shown = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [old for old, _ in shown] == [f"{number:03}.png" for number in range(4)] and contents(folder) == before
    assert main(command) == 0
    after = contents(folder)
    assert {new for _, new in shown} <= set(after)
    assert main(["batch", "--undo", str(folder / "unrender-undo.jsonl")]) == 0
    assert contents(folder) == before


def test_more_is_said_where_a_prompt_has_words_around_it(folder):
    words = ["--prefix", "drawn", "--template", "ohwx, {prompt}", "--glob", "000.png"]
    assert main(["batch", str(folder), *MICRO, *words]) == 0
    assert (folder / "000.txt").read_text().startswith("ohwx, drawn, ")
    assert not (folder / "001.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no source"),
        (["nowhere"], "nowhere"),
        (["--undo", "nowhere.jsonl"], "nowhere.jsonl"),
        ([".", "--output", "copy"], "-o"),
        ([".", "--template", "{promt}"], "{promt}"),
    ],
)
def test_wrong_usage_is_one_line(arguments, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["batch", *arguments, *MICRO]) in (1, 2)
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


@pytest.mark.parametrize("shard", ["3/2", "0/2", "half"])
def test_a_wrong_shard_is_refused(shard, capsys):
    with pytest.raises(SystemExit):
        main(["batch", ".", "--shard", shard])
    assert "shard" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a process that was forked")
@pytest.mark.parametrize("output", ["jsonl", "txt"])
def test_a_killed_run_of_a_real_model_goes_on_to_the_last_bit(engine, folder, output, monkeypatch):
    monkeypatch.setattr("unrender.core.batch.ahead.CHUNK", 3)
    monkeypatch.setattr("unrender.core.batch.run.CHUNK", 3)
    engine.interrogate(folder / "000.png", "fast")  # what the processes below share
    twin = folder.parent.parent / "undisturbed" / "drawings"
    twin.mkdir(parents=True)
    for path in folder.iterdir():
        (twin / path.name).write_bytes(path.read_bytes())
    started = time.monotonic()
    list(Batch(engine, source_named([str(twin)]), sink_named(output, twin), "fast"))
    whole = time.monotonic() - started
    killed = 0
    for patience in (0.2 * whole, 0.5 * whole, 0.7 * whole, None):
        child = os.fork()
        if not child:
            _describe_and_end(engine, folder, output)
        if patience is not None:
            time.sleep(patience)
            os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    assert killed and contents(folder) == contents(twin)


def _describe_and_end(engine, folder, output):
    try:
        list(Batch(engine, source_named([str(folder)]), sink_named(output, folder), "fast", resume=True))
    finally:
        os._exit(0)


def test_a_folder_is_captioned_in_one_call(engine, folder):
    done = caption_folder(engine, folder)
    assert (done.written, done.failed) == (8, 1)
    assert (folder / "000.txt").read_text() == engine.interrogate(folder / "000.png", "fast").prompt


def test_what_json_lines_say_is_what_interrogate_says(folder, capsys):
    assert main(["batch", str(folder), "--glob", "000.png", "--output", "jsonl", *MICRO]) == 0
    row = json.loads((folder / "desc.jsonl").read_text())
    capsys.readouterr()
    assert main(["interrogate", str(folder / "000.png"), "--json", *MICRO]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert {name: row[name] for name in ("prompt", "caption", "mode", "model")} == {
        name: alone[name] for name in ("prompt", "caption", "mode", "model")
    }
