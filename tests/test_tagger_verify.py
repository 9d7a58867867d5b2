"""A tagger compared with what people told of their own pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tiny_taggers as tiny
from PIL import Image
from unrender.cli import main
from unrender.core.describe import Tagger
from unrender.core.errors import SettingsError
from unrender.core.settings import CaptionSettings, TagSettings
from unrender.core.verify.tagging import best, check_tagger_with, known_pictures, scores


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("tagger") / "tagger")


@pytest.fixture
def pictures(folder: Path, tmp_path: Path) -> Path:
    """Told of just as the tagger tells from .6 on, and one thing it does not know."""
    place = tmp_path / "pictures"
    place.mkdir()
    random = np.random.default_rng(3)
    tagger = Tagger.load(str(folder), "cpu")
    asked = CaptionSettings(tags=TagSettings(general=0.6, character=0.6, implied=True))
    for number in range(8):
        picture = Image.fromarray(random.integers(0, 256, (30, 40, 3), dtype=np.uint8))
        picture.save(place / f"{number}.png")
        text = tagger.describe([picture], asked)[0].text.replace("(", r"\(").replace(")", r"\)")
        (place / f"{number}.txt").write_text(f"{text}, a thing of my own\n", encoding="utf-8")
    (place / "untold.txt").write_text("no picture")
    Image.new("RGB", (9, 9)).save(place / "without.png")
    return place


def test_by_hand() -> None:
    told = np.array([[0.9, 0.2], [0.5, 0.5]])
    truth = np.array([[True, False], [False, True]])
    found = scores(told, truth, 0.5)  # says three, two of them right, and misses none
    assert (found.precision, found.recall, found.f1) == pytest.approx((2 / 3, 1, 0.8))
    assert scores(told, truth, 0.95).f1 == 0
    assert best(told, truth).threshold == 0.25


def test_the_threshold_that_people_used_is_found(folder: Path, pictures: Path) -> None:
    known = known_pictures(pictures, 50)
    assert len(known) == 8
    told = {each.check: each for each in check_tagger_with(Tagger.load(str(folder), "cpu"), known)}
    assert told["tags that the tagger does not know"].value.startswith("1 of")
    assert "F1 1.000 from 0.60 on" in told["general tags, best threshold"].value
    assert "recall 1.000" in told["general tags, usual threshold"].value
    assert told["order of the colour channels"].passed


def test_channels_in_the_wrong_order_are_seen(folder: Path, pictures: Path, tmp_path: Path) -> None:
    wrong = tiny.make(tmp_path / "wrong", channel_order="RGB")
    known = known_pictures(pictures, 50)
    told = {each.check: each for each in check_tagger_with(Tagger.load(str(wrong), "cpu"), known)}
    assert told["order of the colour channels"].passed is False


def test_by_the_command(folder: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["verify", "--tagger", str(folder), "--device", "cpu"]
    assert main([*asked, "--pictures", str(pictures), "-o", str(tmp_path / "out")]) == 0
    assert "on 8 pictures" in capsys.readouterr().out
    findings = json.loads((tmp_path / "out" / "report.json").read_text())["findings"]
    assert any("best threshold" in each["check"] for each in findings)
    assert main(asked) == 2 and "name their folder with --pictures" in capsys.readouterr().err
    empty = tmp_path / "empty"
    empty.mkdir()
    assert main([*asked, "--pictures", str(empty)]) == 2
    assert "text file of its tags beside it" in capsys.readouterr().err
    assert main(["verify", "--tagger", "blip-large", "--pictures", str(pictures)]) == 1
    assert "blip-large is no tagger" in capsys.readouterr().err


def test_a_folder_without_tags(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="give another folder"):
        known_pictures(tmp_path / "absent", 5)
