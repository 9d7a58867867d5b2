"""Pipelines on a device without room for them, or whose half precision gives no numbers."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import write_clip_tokenizer
from pretended_cuda import PretendedCuda, cuda_fixture  # noqa: F401
from tiny_pipelines import tiny_pipeline
from unrender.core.errors import ModelError
from unrender.core.variation import placing
from unrender.core.variation.checkpoint import Checkpoint
from unrender.core.variation.render import Sampling, render

pytest.importorskip("diffusers", reason="rendering needs diffusers")
CUDA = torch.device("cuda:0")
FEW = Sampling(steps=2, seed=5)


@pytest.fixture
def pipeline(tmp_path: Path) -> Any:
    write_clip_tokenizer(tmp_path)
    return tiny_pipeline("sdxl", tmp_path).to(dtype=torch.float32)


def picture(checkpoint: Checkpoint, tmp_path: Path) -> np.ndarray:
    from unrender.core.embed.embedding import PromptEmbedding

    width, pooled = 2048, 1280
    chance = torch.Generator().manual_seed(0)
    states = torch.randn(77, width, generator=chance)
    made = PromptEmbedding("sdxl", states, torch.randn(pooled, generator=chance))
    return np.asarray(render(checkpoint, made, made, FEW), float)


def test_what_does_not_fit_as_a_whole_is_brought_part_by_part(
    cuda: PretendedCuda, pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    pytest.importorskip("accelerate", reason="parts are moved by accelerate")
    expected = picture(Checkpoint.of(pipeline, "tiny"), tmp_path)
    monkeypatch.setattr(placing, "_WORKING", 0)
    cuda.total = placing.nbytes(pipeline)
    assert placing.place("tiny", pipeline, CUDA) is False
    assert "each part while it is used" in caplog.text and cuda.allocated == 0
    found = picture(Checkpoint.of(pipeline, "tiny"), tmp_path)
    assert 0 < cuda.most < cuda.total and np.abs(found - expected).max() <= 1


def test_what_fits_is_there_whole(cuda: PretendedCuda, pipeline: Any) -> None:
    assert placing.place("tiny", pipeline, CUDA) is True
    assert pipeline.device == CUDA and cuda.allocated


def test_without_accelerate_the_cure_is_named(
    cuda: PretendedCuda, pipeline: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "accelerate" else found(name))
    cuda.total = placing.nbytes(pipeline) // 2
    with pytest.raises(
        ModelError, match=r"tiny takes .* does not fit on cuda:0 .*pip install (--python \S+ )?accelerate`"
    ):
        placing.place("tiny", pipeline, CUDA)


# --- half precision that gives no numbers


@pytest.fixture
def overflowing(pipeline: Any) -> Any:
    """In half precision, of whose values some grow past it inside the U-Net and are brought back there."""
    pipeline.unet.conv_in.weight.data *= 3e4
    return pipeline.to(dtype=torch.float16)


def expected_of(overflowing: Any, tmp_path: Path) -> np.ndarray:
    return picture(Checkpoint.of(copy.deepcopy(overflowing).to(dtype=torch.float32), "tiny"), tmp_path)


def test_what_half_precision_cannot_render_is_rendered_again_in_float32(
    overflowing: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = expected_of(overflowing, tmp_path)
    checkpoint = Checkpoint.of(overflowing, "tiny")
    assert np.array_equal(picture(checkpoint, tmp_path), expected) and expected.std() > 0
    assert caplog.messages.count("tiny gives no numbers in half precision on this device: it goes on in float32.") == 1
    assert overflowing.unet.dtype is overflowing.vae.dtype is torch.float32
    caplog.clear()
    assert np.array_equal(picture(checkpoint, tmp_path), expected) and not caplog.messages


def test_so_are_parts_that_are_on_the_device_only_while_they_are_used(
    cuda: PretendedCuda, overflowing: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    pytest.importorskip("accelerate", reason="parts are moved by accelerate")
    expected = expected_of(overflowing, tmp_path)
    monkeypatch.setattr(placing, "_WORKING", 0)
    cuda.total = placing.nbytes(overflowing)
    assert placing.place("tiny", overflowing, CUDA) is False
    cuda.total *= 4
    found = picture(Checkpoint.of(overflowing, "tiny", torch.device("cpu")), tmp_path)
    assert "goes on in float32" in caplog.text and np.abs(found - expected).max() <= 1


def test_weights_that_give_no_numbers_in_any_precision(overflowing: Any, tmp_path: Path) -> None:
    overflowing.unet.conv_in.weight.data[0] = float("nan")
    with pytest.raises(ModelError, match="tiny gave no numbers; get its weights again"):
        picture(Checkpoint.of(overflowing, "tiny"), tmp_path)
