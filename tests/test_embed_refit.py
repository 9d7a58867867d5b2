"""Ridge's maps learned again from pictures: against the formula written out whole, their files, and whom they serve."""

from __future__ import annotations

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_towers import Words, random_weights
from torch.nn.functional import normalize
from unrender.core.clip.layers import LAST
from unrender.core.embed.gap import GapCorrection
from unrender.core.embed.lesson import KEPT, Examples, keep_lesson, kept_lesson
from unrender.core.embed.refit import STRENGTH, refitted
from unrender.core.embed.ridge import SequenceMap
from unrender.core.embed.text_side import TextSide
from unrender.core.errors import SettingsError

JOINT, PICTURES = 24, 90


@pytest.fixture(scope="module")
def side():
    return TextSide(random_weights(32, JOINT, heads=2), Words())


@pytest.fixture(scope="module")
def base(side):
    generator = torch.Generator().manual_seed(1)
    left, right = torch.randn(JOINT, 5, generator=generator), torch.randn(5, 77, side.width, generator=generator)
    centre = normalize(torch.randn(JOINT, generator=generator), dim=0)
    return SequenceMap(left, right, torch.zeros(77, side.width), centre, 0.4)


@pytest.fixture(scope="module")
def features():
    about = torch.randn(PICTURES, JOINT, generator=torch.Generator().manual_seed(2))
    return normalize(about + 2 * torch.ones(JOINT), dim=-1)


PROMPTS = [f"{'red boat ' * (1 + number % 4)}{number}" for number in range(PICTURES)]


def keep(folder, side, found, features):
    keep_lesson(folder, "clip", side, LAST, found, Examples.of(features, tuple(PROMPTS)))
    (file,) = folder.iterdir()
    return file


@pytest.fixture(scope="module")
def found(base, side, features):
    return refitted(base, side, LAST, features, PROMPTS)


def test_it_is_the_formula(found, base, side, features):
    moved = GapCorrection.measured(features).centred(features, base.spread).double()
    states = side.states(PROMPTS)[0][0].flatten(1).double()
    x, y = moved - moved.mean(dim=0), states - states.mean(dim=0)
    covariance = x.T @ x / PICTURES
    penalty = STRENGTH * covariance.trace()
    from_texts = base.left.double() @ base.right.flatten(1).double()
    solved = torch.linalg.solve(
        covariance + penalty * torch.eye(JOINT, dtype=torch.float64), x.T @ y / PICTURES + penalty * from_texts
    )
    expected = (x @ solved + states.mean(dim=0)).view(PICTURES, 77, -1)
    assert torch.allclose(found.states(features).double(), expected, atol=1e-3)


def test_it_is_found_again_where_it_was_kept(found, side, features, tmp_path):
    assert kept_lesson(tmp_path, "clip", side, LAST) is None
    keep(tmp_path / "new", side, found, features)
    again = kept_lesson(tmp_path / "new", "clip", side, LAST)
    assert torch.allclose(again.map.states(features), found.states(features), atol=2e-2)
    assert again.map.spread == found.spread
    assert again.examples.prompts == tuple(PROMPTS) and torch.equal(again.examples.features, features)
    assert kept_lesson(tmp_path / "new", "another clip", side, LAST) is None


def test_of_many_pictures_some_are_kept_from_first_to_last():
    features, prompts = torch.arange(400.0)[:, None].expand(-1, JOINT), tuple(map(str, range(400)))
    some = Examples.of(features, prompts)
    assert len(some.prompts) == KEPT == len(set(some.prompts)) and {"0", "399"} < set(some.prompts)
    assert [str(int(row[0])) for row in some.features] == list(some.prompts)
    assert some.digest != Examples(some.features + 1, some.prompts).digest
    assert some.digest != Examples(some.features, some.prompts[::-1]).digest


def test_a_damaged_file_is_as_none(found, side, features, tmp_path):
    file = keep(tmp_path, side, found, features)
    file.write_bytes(file.read_bytes()[:-9])
    assert kept_lesson(tmp_path, "clip", side, LAST) is None


def test_without_the_pictures_it_is_the_map_alone(found, side, features, tmp_path):
    """As files had it before, or where they are damaged."""
    file = keep(tmp_path, side, found, features)
    tensors = load_file(file)
    with safe_open(file, "pt") as opened:
        told = opened.metadata()
    less = {name: each for name, each in tensors.items() if name != "features"}
    for held, words in (
        (less, told),
        (tensors, {name: each for name, each in told.items() if name != "prompts"}),
        (tensors, {**told, "prompts": "[1]"}),
        (tensors, {**told, "prompts": '["a"]'}),
        ({**less, "features": tensors["features"] * float("nan")}, told),
        ({**less, "features": tensors["features"][:, 1:].contiguous()}, told),
    ):
        save_file(held, file, words)
        again = kept_lesson(tmp_path, "clip", side, LAST)
        assert again.examples is None and again.map.spread == found.spread


def test_where_nothing_can_be_written_is_said(found, side, features, tmp_path):
    (tmp_path / "file").write_text("none")
    with pytest.raises(SettingsError, match="cannot be kept"):
        keep(tmp_path / "file", side, found, features)


def test_too_few_pictures_or_all_the_same_are_refused(base, side, features):
    with pytest.raises(SettingsError, match="give 40 or more"):
        refitted(base, side, LAST, features[:39], PROMPTS[:39])
    with pytest.raises(SettingsError, match="all the same"):
        refitted(base, side, LAST, features[:1].expand(50, -1), PROMPTS[:50])
