"""Image as prompt's advanced part, refiners and hires checkpoints in a real webui, by the pixels of what it draws."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest
from hub_server import serving
from safetensors.torch import load_file, save_file
from webui_drawing import base64_png, draw, drawn, few_words, refusal, write_models
from webui_server import WEBUI, needs_webui, started

pytestmark = needs_webui
OTHER = "other15.safetensors"
USUAL = (None, "replace", 1, 0, 1, "none")


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> Path:
    """And a checkpoint of tiny15's kind, with another text encoder of the same width."""
    folder = write_models(tmp_path_factory.mktemp("clips"))
    assert WEBUI
    checkpoints = Path(WEBUI) / "models" / "Stable-diffusion"
    tensors = load_file(checkpoints / "tiny15.safetensors")
    changed = {
        name: tensor.flip(0).contiguous() if "cond_stage_model" in name and tensor.ndim == 2 else tensor
        for name, tensor in tensors.items()
    }
    save_file(changed, checkpoints / OTHER)
    if (config := checkpoints / "tiny15.yaml").exists():
        shutil.copy(config, (checkpoints / OTHER).with_suffix(".yaml"))
    return folder


@pytest.fixture(scope="module")
def webui(tmp_path_factory, clips):
    with serving() as hub, started(tmp_path_factory.mktemp("webui"), hub.url) as server:
        server.wait_for_checkpoint()
        yield server


@pytest.fixture(autouse=True)
def _sd15(webui, clips):
    webui.ask("/sdapi/v1/options", {"sd_model_checkpoint": "tiny15.safetensors", "CLIP_stop_at_last_layers": 1})
    webui.set_options(seeing=str(clips / "clip-l"))


@pytest.fixture(scope="module")
def picture(photographs) -> str:
    return base64_png(photographs[0].resize((96, 96)))


HIRES = {"enable_hr": True, "hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7}
HIRES |= {"hr_additional_modules": ["Use same choices"]}  # Forge's API fails without
FURTHER = {
    "refiner": {"refiner_checkpoint": OTHER, "refiner_switch_at": 0.5},
    "hires": {**HIRES, "hr_checkpoint_name": OTHER},
}


@pytest.mark.parametrize("kind", FURTHER)
def test_webui_gives_a_further_checkpoint_the_picture_and_not_the_words(webui, picture, kind):
    values = FURTHER[kind]
    plain = drawn(webui, **values)
    assert drawn(webui, prompt="a dog", **values) != plain, "the words count without a picture"
    steered = drawn(webui, picture, **values)
    assert steered != plain
    assert drawn(webui, picture, prompt="a dog", **values) == steered
    assert drawn(webui, picture) not in (steered, plain), "the first checkpoint is drawn with again"
    assert drawn(webui, **values) == plain


def test_webui_draws_with_a_further_checkpoint_of_another_kind_by_the_words(webui, picture):
    if webui.host.takes_known_shapes_alone:
        pytest.skip("Forge takes no SDXL but of the full size")
    values = {"refiner_checkpoint": "tinyxl.safetensors", "refiner_switch_at": 0.5}
    assert drawn(webui, picture, **values) != drawn(webui, picture, prompt="a dog", **values)


def test_webui_serves_clip_skip_2_at_once(webui, picture):
    before = drawn(webui, picture)
    webui.ask("/sdapi/v1/options", {"CLIP_stop_at_last_layers": 2})
    plain = drawn(webui)
    assert drawn(webui, picture) not in (before, plain)
    assert not list(webui.models.rglob("ridge-*")), "a map was learned"


def test_webui_heeds_the_advanced_part(webui, picture):
    seen = [drawn(webui, picture, *USUAL), drawn(webui, picture, *USUAL, "pinv", "in winter")]
    seen += [drawn(webui, picture, *USUAL, "pinv", "in winter", 0), drawn(webui, picture, *USUAL, "usual", "at night")]
    assert len(set(seen)) == 4
    assert drawn(webui, picture, *USUAL, "pinv") == drawn(webui, picture) == seen[0]
    _, infotext = draw(webui, picture, *USUAL, "pinv", "in winter", 0.5)
    for said in ("quality: quick", "projection: pinv", "words: in winter", "alpha: 0.5"):
        assert f"Image as prompt {said}" in infotext
    for wrong, said in (
        (("x",), "no projection"),
        (("bank", "in winter"), "projection bank heeds no words"),
        (("usual", "", 0.6, "a boat"), "choose good or best as the quality"),
    ):
        status, sentence = refusal(webui, picture, *USUAL, *wrong)
        assert status == 422 and said in sentence
    assert "no quality" in refusal(webui, picture, quality="x")[1]


@pytest.fixture
def few(webui):
    webui.set_options(vocabulary=few_words(webui), captioner="micro")
    yield
    webui.set_options(vocabulary="built-in", captioner="blip-large")


def test_webui_draws_a_soft_embedding_and_leaves_the_next_run_plain(webui, picture, few):
    """usual, and so what a call of before gets, is best where `unrender verify` was not run."""
    plain = drawn(webui)
    quick = [drawn(webui, picture, *USUAL, "by quality", words) for words in ("", "in winter", "at night")]
    good = drawn(webui, picture, quality="good", timeout=600)
    assert drawn(webui) == plain, "the soft prompt is still in it"
    best = drawn(webui, picture, quality="best", timeout=600)
    assert len({plain, *quick, good, best}) == 6
    assert drawn(webui) == plain
    for words in ("in winter", "at night", "in spring"):  # more than are kept
        drawn(webui, picture, *USUAL, "by quality", words)
    assert drawn(webui, picture, quality="good", timeout=600) == good, "another, made again"
    assert drawn(webui, picture, quality=None, timeout=600) == best
    _, infotext = draw(webui, picture, quality="best")
    assert "Image as prompt quality: best" in infotext and "Image as prompt projection" not in infotext
    assert drawn(webui) == plain


def test_webui_gives_a_hires_pass_of_another_checkpoint_a_soft_embedding_of_its_own(webui, picture, few):
    values = FURTHER["hires"]
    plain = drawn(webui, **values)
    steered = drawn(webui, picture, quality="good", timeout=600, **values)
    assert steered not in (plain, drawn(webui, picture, **values))
    assert drawn(webui, picture, quality="good", prompt="a dog", **values) == steered
    assert drawn(webui, **values) == plain


def test_webui_interrupts_a_soft_prompts_search(webui, picture, few):
    answers: list[str] = []
    plain = drawn(webui)
    drawing = threading.Thread(
        target=lambda: answers.append(drawn(webui, picture, *USUAL, None, "at noon", quality="good", timeout=600))
    )
    drawing.start()
    deadline = time.monotonic() + 300
    while "soft prompt" not in (webui.ask("/sdapi/v1/progress")["textinfo"] or ""):
        assert time.monotonic() < deadline and drawing.is_alive(), "it was never seen at work"
        time.sleep(0.02)
    webui.ask("/sdapi/v1/interrupt", {})
    drawing.join(120)
    assert not drawing.is_alive()
    whole = drawn(webui, picture, *USUAL, None, "at noon", quality="good", timeout=600)
    assert whole not in (plain, *answers), "what was stopped was drawn, or kept"
    assert drawn(webui) == plain
