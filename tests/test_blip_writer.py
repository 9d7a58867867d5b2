"""BLIP's own search for the likeliest words against transformers' own, and the precision that it computes in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image
from tiny_captioners import direct, words
from unrender.core.describe import Captioner, kinds
from unrender.core.describe.writing import blip, blip_view, memory
from unrender.core.describe.writing.blip_writer import write
from unrender.core.describe.writing.fused_attention import fuse_attention
from unrender.core.devices import CPU, trouble_in
from unrender.core.engine import Engine
from unrender.core.settings import CaptionSettings, Precision, Settings

pytest_plugins = ["captioner_fixtures"]


@pytest.fixture(scope="module")
def model(folders: dict[str, Path]) -> Any:
    return direct(folders["blip"])[0]


@examples(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    pictures=st.integers(1, 7),
    begun=st.integers(0, 6),
    most=st.integers(1, 20),
    eager=st.floats(-20, 8),
)
def test_the_words_are_those_of_transformers(
    model: Any, seed: int, pictures: int, begun: int, most: int, eager: float
) -> None:
    """eager: what the end's score has more than the random weights give it, so that captions end here and there."""
    config = model.config.text_config
    torch.manual_seed(seed)
    pixels = torch.randn(pictures, 3, 32, 32)
    prompt = torch.randint(6, config.vocab_size, (1, begun + 2)).repeat(pictures, 1)
    model.text_decoder.cls.predictions.decoder.bias.data[config.sep_token_id] = eager
    with torch.inference_mode():
        wanted = model.generate(pixel_values=pixels, input_ids=prompt.clone(), max_new_tokens=most, do_sample=False)
        seen = model.vision_model(pixel_values=pixels)[0]
        prompt[:, 0] = config.bos_token_id
        ends = config.sep_token_id, config.pad_token_id
        written, odd = write(model.text_decoder, seen, prompt[:, :-1], most, *ends)
    assert torch.equal(written, wanted) and not odd


def test_what_has_ended_is_computed_no_more(model: Any) -> None:
    config = model.config.text_config
    torch.manual_seed(0)
    begun = torch.full((6, 1), config.bos_token_id)
    counts: list[int] = []
    layer = model.text_decoder.bert.encoder.layer[0].intermediate.dense
    with torch.inference_mode(), layer.register_forward_pre_hook(lambda _, given: counts.append(len(given[0]))):
        model.text_decoder.cls.predictions.decoder.bias.data[config.sep_token_id] = 4.5
        seen = model.vision_model(pixel_values=torch.randn(6, 3, 32, 32))[0]
        written, _ = write(model.text_decoder, seen, begun, 20, config.sep_token_id, config.pad_token_id)
    ended = [(row == config.sep_token_id).nonzero() for row in written]
    lengths = [int(each[0]) if len(each) else 20 for each in ended]
    assert len(set(lengths)) > 1, "all end together, so this shows nothing"
    assert counts == [sum(length >= step for length in lengths) for step in range(1, max(lengths) + 1)]


def test_a_folder_that_changes_scores_is_left_to_transformers(
    folders: dict[str, Path], images: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, processor = direct(folders["blip"])
    captioner = Captioner.load(str(folders["blip"]), dtype=torch.float32)
    usual = captioner.caption(images, CaptionSettings(max_length=9))
    for each in (model, captioner.module):
        wished = each.text_decoder.generation_config
        wished.repetition_penalty, wished._from_model_config = 1.7, False  # else transformers 4.30 makes it anew
    way = captioner._model
    monkeypatch.setattr(way, "_is_plain", blip._changes_no_score(captioner.module))
    pixels = processor.image_processor(images, return_tensors="pt")
    written = model.generate(**pixels, max_new_tokens=9, num_beams=1, do_sample=False)[:, 1:]
    expected = [words(text) for text in processor.tokenizer.batch_decode(written, skip_special_tokens=True)]
    assert captioner.caption(images, CaptionSettings(max_length=9)) == expected != usual


# --- precision ---


@pytest.mark.parametrize("half", [None, torch.bfloat16])
def test_half_where_the_processor_multiplies_in_it(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, half: torch.dtype | None
) -> None:
    monkeypatch.setattr(memory, "native_half", lambda device: half)
    loaded = Captioner.load(str(folders["blip"]), "cpu")
    assert {each.dtype for each in loaded.module.parameters()} == {half or torch.float32}
    for other in (Captioner.load("micro", "cpu"), Captioner.load(str(folders["git"]), "cpu")):
        assert {each.dtype for each in other.module.parameters()} == {torch.float32}


no_half = pytest.mark.skipif(bool(trouble_in(torch.float16, CPU)), reason="this PyTorch has no float16 on a CPU")


@pytest.mark.parametrize(
    ("precision", "wanted"),
    [
        ("auto", None),
        ("exact", torch.float32),
        pytest.param("float16", torch.float16, marks=no_half),
        ("bfloat16", torch.bfloat16),
    ],
)
def test_exact_is_float32(precision: Precision, wanted: torch.dtype | None, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[torch.dtype | None] = []
    load = kinds.load_describer

    def noted(name: str, device: str, dtype: torch.dtype | None, *others: Any, **further: Any) -> Any:
        told.append(dtype)
        return load(name, device, dtype, *others, **further)

    monkeypatch.setattr("unrender.core.describe.load_describer", noted)
    engine = Engine(Settings(clip="micro", captioner="micro", device="cpu", precision=precision))
    assert engine.interrogate(Image.new("RGB", (64, 64), "red"), "caption").caption
    assert told == [wanted]


def test_a_view_in_half_is_near_the_whole_one(folders: dict[str, Path], images: list[Image.Image]) -> None:
    model, processor = direct(folders["blip"])
    pixels = processor.image_processor(images, return_tensors="pt").pixel_values
    with torch.inference_mode():
        wanted = model.vision_model(pixel_values=pixels)[0]
        fuse_attention(model)
        assert torch.allclose(blip_view.view(model.vision_model, pixels), wanted, atol=1e-5)
        model.bfloat16()
        ours = blip_view.view(model.vision_model, pixels.bfloat16())
        plain = model.vision_model(pixel_values=pixels.bfloat16())[0]
    assert ours.dtype is torch.bfloat16
    assert _apart(ours, wanted) < min(0.05, _apart(plain, wanted))


def _apart(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.float() - b).norm() / b.norm())
