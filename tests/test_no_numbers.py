"""Weights with NaN or infinity, or past what half precision holds: a sentence, where there was an empty prompt."""

from __future__ import annotations

from pathlib import Path

import file_seeds
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from unrender.core.clip import Clip
from unrender.core.describe import Captioner
from unrender.core.devices import CPU, trouble_in
from unrender.core.errors import ModelError

PICTURE = Image.new("RGB", (40, 30), "red")


def spoilt(folder: Path, name: str, value: float) -> Path:
    """The folder with one value of one weight changed."""
    state = load_file(folder / file_seeds.WEIGHTS)
    state[name] = state[name].clone()
    state[name].view(-1)[3] = value
    save_file(state, folder / file_seeds.WEIGHTS, metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_clip_that_sees_no_numbers(tmp_path: Path, value: float) -> None:
    folder = spoilt(file_seeds.clip_folder(tmp_path), "vision_model.encoder.layers.0.mlp.fc1.bias", value)
    clip = Clip.load(str(folder), "cpu", "exact")
    with pytest.raises(ModelError, match="no numbers for pictures; get the whole model again"):
        clip.encode_images([PICTURE])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_clip_that_reads_no_numbers(tmp_path: Path, value: float) -> None:
    folder = spoilt(file_seeds.clip_folder(tmp_path), "text_model.encoder.layers.1.mlp.fc1.bias", value)
    clip = Clip.load(str(folder), "cpu", "exact")
    with pytest.raises(ModelError, match="no numbers for texts"):
        clip.encode_texts(["a cat"])


def test_one_word_that_is_no_number_is_found_by_the_search(tmp_path: Path) -> None:
    from unrender.core.prompt.search import Scorer

    clip = Clip.load(str(file_seeds.clip_folder(tmp_path)), "cpu", "exact")
    scorer = Scorer(clip, clip.encode_images([PICTURE])[0])
    assert len(scorer.continuations("a", ["cat", "dog"])) == 2
    (token,) = set(clip.text.ids("a b")) - set(clip.text.ids("a"))
    clip.text.weights.embedding[token] = float("nan")  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="no numbers for texts"):
        scorer.continuations("a", ["a", "b"])
    with pytest.raises(ModelError, match="no numbers for texts"):
        scorer.similarity("a b")


@pytest.mark.skipif(bool(trouble_in(torch.float16, CPU)), reason="this PyTorch has no float16 on a CPU")
def test_past_half_precision_full_precision_is_advised(tmp_path: Path) -> None:
    folder = file_seeds.clip_folder(tmp_path)
    state = load_file(folder / file_seeds.WEIGHTS)
    for name in ("fc1.weight", "fc2.weight"):
        state[f"vision_model.encoder.layers.1.mlp.{name}"] *= 3e4
    save_file(state, folder / file_seeds.WEIGHTS, metadata={"format": "pt"})
    assert torch.isfinite(Clip.load(str(folder), "cpu", "exact").encode_images([PICTURE])).all()
    with pytest.raises(ModelError, match="no numbers for pictures; choose exact as precision"):
        Clip.load(str(folder), "cpu", "float16").encode_images([PICTURE])


def test_a_captioner_that_writes_no_numbers(tmp_path: Path) -> None:
    folder = spoilt(file_seeds.captioner_folder(tmp_path), "text_decoder.bert.embeddings.LayerNorm.bias", float("nan"))
    with pytest.raises(ModelError, match="no numbers"):
        Captioner.load(str(folder), "cpu").caption([PICTURE])
