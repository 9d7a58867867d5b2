"""What micro's pictures are compared with, as it is shipped."""

from __future__ import annotations

import pytest
import torch
from unrender.core.clip import Clip
from unrender.core.evidence.bank import Bank
from unrender.core.micro import BANK_FILE
from unrender.training.measure_bank import NAME, measured


@pytest.fixture(scope="module")
def shipped():
    return Bank.load(BANK_FILE)


def test_the_shipped_bank_is_of_these_weights(shipped):
    shipped.check(Clip.load("micro", "cpu", "exact"))
    assert (shipped.name, shipped.count, shipped.trust.pictures) == (NAME, 1000, 1000)


def test_fewer_of_the_same_pictures_give_about_the_same(shipped):
    again = measured(100)
    assert torch.dist(again.mean, shipped.mean) < 0.1 * shipped.covariance.trace().sqrt() * 2
    assert again.trust.temperature == pytest.approx(shipped.trust.temperature, rel=0.5)
    for family, share in shipped.trust.captions.items():
        assert again.trust.caption(family) == pytest.approx(share, abs=0.08)
    assert again.trust.nearness.mean == pytest.approx(shipped.trust.nearness.mean, abs=0.01)
    assert again.trust.nearness.deviation == pytest.approx(shipped.trust.nearness.deviation, rel=0.3)
