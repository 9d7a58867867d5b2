"""The two networks that renderings are measured with read real pictures of every factor, and differ from each other."""

from __future__ import annotations

import pytest
import torch
from unrender.core.micro.pictures import drawn, render
from unrender.core.micro.world import Scene
from unrender.training.judges import NAMES, accuracies, load_judge


@pytest.fixture(scope="module")
def pictures():
    return render("validation", 400)


@pytest.mark.parametrize("name", NAMES)
def test_a_judge_reads_every_factor(name, pictures):
    assert min(accuracies(load_judge(name), pictures).values()) >= 0.97


def test_the_judges_are_of_different_architectures():
    shapes = [[tuple(value.shape) for value in load_judge(name).state_dict().values()] for name in NAMES]
    assert set(shapes[0]) != set(shapes[1])


def test_pictures_drawn_again_are_others():
    scene = Scene("star", "red", "large", "sea", "flat", "none")
    first, second, again = (drawn([scene], seed).pixels for seed in (3 * 10**8, 4 * 10**8, 3 * 10**8))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)
