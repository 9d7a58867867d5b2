"""Ridge's maps learned again from pictures: against the formula written out whole, their files, and whom they serve."""

from __future__ import annotations

import pytest
import torch
from small_towers import Words, random_weights
from torch.nn.functional import normalize
from unrender.core.clip.layers import LAST
from unrender.core.embed.gap import GapCorrection
from unrender.core.embed.refit import STRENGTH, keep_learned, kept_learned, refitted
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
    assert kept_learned(tmp_path, "clip", side, LAST) is None
    keep_learned(tmp_path / "new", "clip", side, LAST, found)
    again = kept_learned(tmp_path / "new", "clip", side, LAST)
    assert torch.allclose(again.states(features), found.states(features), atol=2e-2)
    assert again.spread == found.spread
    assert kept_learned(tmp_path / "new", "another clip", side, LAST) is None


def test_a_damaged_file_is_as_none(found, side, tmp_path):
    keep_learned(tmp_path, "clip", side, LAST, found)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    assert kept_learned(tmp_path, "clip", side, LAST) is None


def test_where_nothing_can_be_written_is_said(found, side, tmp_path):
    (tmp_path / "file").write_text("none")
    with pytest.raises(SettingsError, match="cannot be kept"):
        keep_learned(tmp_path / "file", "clip", side, LAST, found)


def test_too_few_pictures_or_all_the_same_are_refused(base, side, features):
    with pytest.raises(SettingsError, match="give 40 or more"):
        refitted(base, side, LAST, features[:39], PROMPTS[:39])
    with pytest.raises(SettingsError, match="all the same"):
        refitted(base, side, LAST, features[:1].expand(50, -1), PROMPTS[:50])
