"""The own preprocessing against open_clip's transform, pixel for pixel."""

from __future__ import annotations

import inspect

import numpy as np
import open_clip
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from unrender.core.clip.preprocess import Preprocess


def noise(width, height, seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 700),
    height=st.integers(1, 700),
    mode=st.sampled_from(["shortest", "squash", "longest"]),
    interpolation=st.sampled_from(["bicubic", "bilinear"]),
)
def test_equals_open_clip_pixel_for_pixel(width, height, mode, interpolation):
    if mode == "longest" and max(width, height) > 100 * min(width, height):
        return  # the short side would vanish; open_clip fails there too
    if not _transform_knows_modes():
        mode, interpolation = "shortest", "bicubic"
    image = noise(width, height)
    config = {"size": 96, "interpolation": interpolation, "resize_mode": mode}
    arguments = {} if not _transform_knows_modes() else {"interpolation": interpolation, "resize_mode": mode}
    expected = open_clip.image_transform(96, is_train=False, **arguments)(image)
    assert torch.equal(Preprocess.from_open_clip(config)(image), expected)


def _transform_knows_modes():
    """Before open_clip 2.21 a transform could do nothing but crop."""
    return "resize_mode" in inspect.signature(open_clip.image_transform).parameters


def test_photographs_equal_open_clip_at_224(photographs):
    transform = open_clip.image_transform(224, is_train=False)
    for photograph in photographs:
        assert torch.equal(Preprocess()(photograph), transform(photograph))


@pytest.mark.parametrize("size", [{"shortest_edge": 64}, {"height": 64, "width": 64}, 64])
def test_reads_every_form_of_a_preprocessor_config(size):
    config = {"do_center_crop": True, "crop_size": size, "size": size, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    preprocess = Preprocess.from_transformers(config)
    assert preprocess.size == (64, 64)
    assert preprocess.resize_mode == "shortest"
    assert preprocess(noise(100, 80)).abs().max() <= 1


def test_a_config_without_a_crop_squashes():
    assert Preprocess.from_transformers({"size": {"height": 32, "width": 48}}).resize_mode == "squash"
    assert Preprocess.from_transformers({"size": {"height": 32, "width": 48}})(noise(9, 90)).shape == (3, 32, 48)
