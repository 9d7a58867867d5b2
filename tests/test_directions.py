"""Pictures moved along the difference of two texts."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from unrender import cli
from unrender.core.embed.direction import Direction
from unrender.core.embed.seen import Seen
from unrender.core.engine import Engine, Settings
from unrender.core.errors import SettingsError
from unrender.core.metadata import read_metadata
from unrender.core.micro.drawing import draw
from unrender.core.micro.world import Scene


@pytest.fixture(scope="module")
def engine():
    return Engine(Settings(clip="micro", captioner=None, device="cpu"))


@pytest.fixture(scope="module")
def star():
    return draw(Scene("star", "red", "large", "meadow", "oil", "none"), 3)[0]


def test_goes_by_the_difference_of_the_texts_in_the_joint_space(engine, star):
    seen = Seen(engine.picture_features([star]), ("star",))
    moved = Direction("in a meadow", "at night").moved(seen, 0.5, engine.text_features)
    away, toward = engine.text_features(["in a meadow", "at night"])
    wanted = seen.features + 0.5 * (toward - away)
    torch.testing.assert_close(moved.features, wanted / wanted.norm(dim=-1, keepdim=True))
    assert moved.keys == seen.keys
    assert Direction("a", "b").moved(seen, 0, engine.text_features) is seen


def test_what_is_seen_after_it_is_nearer_to_the_one_and_farther_from_the_other(engine, star):
    seen = Seen(engine.picture_features([star]), ("star",))
    texts = engine.text_features(["in a meadow", "at night"])
    nearness = [
        Direction("in a meadow", "at night").moved(seen, amount, engine.text_features).features @ texts.T
        for amount in (-0.5, 0, 0.5, 1)
    ]
    meadow, night = torch.cat(nearness).T.tolist()
    assert meadow == sorted(meadow, reverse=True) and night == sorted(night)


@pytest.mark.parametrize(
    ("texts", "amount"),
    [((" ", "b"), 1), (("a", ""), 1), (("a", "a "), 1), (("a", "b"), float("nan")), (("a", "b"), 9)],
)
def test_refuses_what_leads_nowhere(engine, texts, amount):
    with pytest.raises(SettingsError):
        Direction(*texts).moved(Seen(torch.ones(1, 4), ("",)), amount, engine.text_features)


def test_the_command_draws_a_sheet_of_the_amounts(tmp_path, star, capsys):
    pytest.importorskip("diffusers", reason="rendering needs diffusers")
    star.save(tmp_path / "star.png")
    common = ["vary", str(tmp_path / "star.png"), "--checkpoint", "micro", "--device", "cpu", "--steps", "2"]
    common += ["--guidance", "3", "--projection", "pinv", "--away", "in a meadow", "--toward", "at night"]
    assert cli.main([*common, "--amount", "0,1", "-o", str(tmp_path / "both.png")]) == 0
    assert cli.main([*common, "--amount", "0,1", "-o", str(tmp_path / "out")]) == 0
    assert cli.main([*common, "-o", str(tmp_path / "one.png")]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0001.png", "0002.png", "sheet.png"]
    with Image.open(tmp_path / "both.png") as sheet, Image.open(tmp_path / "out" / "0002.png") as last:
        assert sheet.width > 2 * 192 and last.size == (64, 64)
        assert "Unrender away: in a meadow, Unrender toward: at night, Unrender amount: 1" in last.text["parameters"]
        assert last.tobytes() == Image.open(tmp_path / "one.png").tobytes()
    assert read_metadata(tmp_path / "one.png").seed == "0"
    assert "2 pictures written" in capsys.readouterr().err
