"""Pipelines on a device without room for them, or whose half precision gives no numbers."""

from __future__ import annotations

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
    monkeypatch.setattr(placing.importlib.util, "find_spec", lambda name: None)
    cuda.total = placing.nbytes(pipeline) // 2
    with pytest.raises(ModelError, match=r"tiny takes .* does not fit on cuda:0 .*pip install accelerate"):
        placing.place("tiny", pipeline, CUDA)
