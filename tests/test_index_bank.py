"""A bank of the user's own pictures: of a folder, an index, or kept; made once, and of what it says."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace

import pytest
import torch
from PIL import Image
from unrender import cli
from unrender.core.batch import Batch, FolderSource, TextSink
from unrender.core.clip import Clip
from unrender.core.engine import Engine
from unrender.core.errors import IndexFileError, ModelError, SettingsError
from unrender.core.evidence.bank import Bank
from unrender.core.evidence.trust import STATED
from unrender.core.foreign import read_header
from unrender.core.index import bank as index_bank
from unrender.core.index import update_index
from unrender.core.index.bank import bank_file, bank_of
from unrender.core.micro import BANK_FILE
from unrender.core.micro.pictures import render
from unrender.core.settings import Settings

COUNT = 44


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own") / "photographs"
    folder.mkdir()
    pixels = render("validation", COUNT).pixels.permute(0, 2, 3, 1).numpy()
    for number, each in enumerate(pixels):
        Image.fromarray(each).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    return Settings(clip="micro", captioner="micro", device="cpu", cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def made(photographs, settings):
    return bank_file(photographs, settings)


def test_a_folder_of_pictures_becomes_a_bank(made, photographs):
    bank = Bank.load(made)
    assert bank.told == f"photographs, {COUNT} pictures"
    bank.check(Clip.load("micro", "cpu", "exact"))
    assert bank.trust.pictures == COUNT
    assert 5 < bank.trust.temperature < 200
    assert bank.trust.caption("colour") == pytest.approx(0.9)  # never more than what is stated
    assert not list(photographs.glob(".*"))


def test_it_knows_how_near_whole_prompts_come(made):
    shipped, near = Bank.load(BANK_FILE).trust.nearness, Bank.load(made).trust.nearness
    assert near.mean == pytest.approx(shipped.mean, abs=0.02)
    assert near.deviation == pytest.approx(shipped.deviation, rel=0.5)


def test_a_bank_of_before_that_is_loaded_does_not(made, settings, tmp_path):
    bank, old = Bank.load(made), tmp_path / "old.safetensors"
    replace(bank, trust=replace(bank.trust, nearness=None)).save(old)
    assert "nearness" not in read_header(old).metadata["trust"]
    assert bank_file(old, settings) == old
    assert Bank.load(old).trust.nearness is None


def test_it_is_of_the_pictures_that_are_there(made, photographs):
    clip = Clip.load("micro", "cpu", "exact")
    seen = clip.encode_images([Image.open(path).convert("RGB") for path in sorted(photographs.glob("*.png"))])
    assert torch.allclose(Bank.load(made).mean, seen.mean(dim=0), atol=1e-3)


def test_it_is_made_once_and_no_model_is_loaded_again(made, photographs, settings, monkeypatch):
    monkeypatch.setattr(index_bank, "_made", None)
    assert bank_file(photographs, settings) == made
    assert bank_file(made, settings) == made


def test_another_captioner_makes_another(made, photographs, settings):
    bare = replace(settings, captioner=None)
    other = bank_file(photographs, bare)
    assert other != made
    assert Bank.load(other).trust == STATED
    assert bank_file(photographs, settings, captioned=False) == other


def test_other_lists_make_another_where_prompts_are_found(photographs, settings, tmp_path):
    (tmp_path / "flavors.txt").write_text("a star\n", encoding="utf-8")
    source = index_bank.source_of(photographs, settings)

    def key(**changes):
        return index_bank._key(source, replace(settings, **changes))

    assert key() != key(phrases=tmp_path)
    assert key(captioner=None) == key(captioner=None, phrases=tmp_path)


def test_another_picture_makes_another(made, photographs, settings, tmp_path):
    for path in photographs.glob("*.png"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    Image.new("RGB", (64, 64), "red").save(tmp_path / "more.png")
    assert Bank.load(bank_file(tmp_path, replace(settings, captioner=None))).count == COUNT + 1


def test_an_index_that_is_there_is_taken(photographs, settings, tmp_path, monkeypatch):
    bare = replace(settings, captioner=None)
    with Engine(bare) as engine:
        path = update_index(engine, photographs, tmp_path / "own.safetensors").path
        by_index = bank_file(path, bare)
        assert bank_of(path, engine).count == COUNT
    assert Bank.load(by_index).name == "photographs"


def test_an_index_of_another_look_is_refused(photographs, settings, tmp_path):
    with Engine(settings) as engine:
        path = update_index(engine, photographs, tmp_path / "own.safetensors").path
    with pytest.raises(IndexFileError, match="fitted by crop"):
        bank_file(path, replace(settings, fit="pad", captioner=None))


def test_a_bank_of_another_clip_is_refused(made, settings, tmp_path):
    other = tmp_path / "other.safetensors"
    replace(Bank.load(made), clip=hashlib.sha256(b"other").hexdigest()).save(other)
    with Engine(settings) as engine:
        engine.text_features(["a star"])
        with pytest.raises(ModelError, match="another CLIP"):
            bank_of(other, engine)


def test_pictures_that_are_gone_teach_nothing(photographs, settings, tmp_path):
    with Engine(settings) as engine:
        for path in photographs.glob("*.png"):
            (tmp_path / path.name).write_bytes(path.read_bytes())
        path = update_index(engine, tmp_path).path
        (tmp_path / "00.png").unlink()
        (tmp_path / "01.png").write_bytes(b"none")
    assert Bank.load(bank_file(path, settings)).trust.pictures == COUNT - 2


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_are_refused_before_a_model_is_loaded(count, settings, tmp_path):
    for number in range(count):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    with pytest.raises(SettingsError, match="give 40 varied ones or more"):
        bank_file(tmp_path, replace(settings, clip="no/such"))


def test_what_is_neither_is_refused(settings, tmp_path):
    (tmp_path / "text.txt").write_text("none")
    with pytest.raises(SettingsError, match="neither a bank nor an index"):
        bank_file(tmp_path / "text.txt", settings)
    with pytest.raises(SettingsError, match="There is no"):
        bank_file(tmp_path / "absent", settings)


def command(*words: object) -> list[str]:
    return [*map(str, words), "--clip", "micro", "--device", "cpu"]


def test_a_picture_a_batch_and_a_resumed_run_say_the_same(photographs, settings, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("UNRENDER_CACHE", str(settings.cache))
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes((photographs / f"{number:02}.png").read_bytes())
    pictures = sorted(tmp_path.glob("*.png"))
    assert cli.main(command("interrogate", "--json", *pictures, "--bank", photographs)) == 0
    one_by_one = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {each["bank"] for each in one_by_one} == {f"photographs, {COUNT} pictures"}

    written = tmp_path / "prompts.csv"
    run = command("batch", tmp_path, "--output", "csv", "-o", written, "--bank", photographs)
    pictures[2].rename(tmp_path / "2.kept")
    assert cli.main(run) == 0
    (tmp_path / "2.kept").rename(pictures[2])
    assert cli.main([*run, "--resume"]) == 0
    with written.open(encoding="utf-8-sig", newline="") as file:
        assert [row["prompt"] for row in csv.DictReader(file)] == [each["prompt"] for each in one_by_one]


def test_a_run_is_not_gone_on_with_by_another_bank(made, settings, tmp_path):
    other = tmp_path / "other.safetensors"
    replace(Bank.load(made), name="other").save(other)

    def asked(bank):
        engine = Engine(replace(settings, bank=bank))
        return Batch(engine, FolderSource(tmp_path), TextSink(tmp_path))._asked()["settings"]["bank"]

    copy = tmp_path / "copy.safetensors"
    copy.write_bytes(made.read_bytes())
    assert asked(made) == asked(copy) != asked(other)
    assert asked(None) is None
