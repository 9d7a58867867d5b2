"""Image as prompt's advanced part, refiners and hires checkpoints in a real webui, by the pixels of what it draws."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hub_server import serving
from safetensors.torch import load_file, save_file
from webui_drawing import base64_png, draw, drawn, refusal, write_models
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
    assert "Image as prompt projection: pinv, Image as prompt words: in winter, Image as prompt alpha: 0.5" in infotext
    for wrong, said in ((("soft",), "no projection"), (("bank", "in winter"), "pinv and anchored alone")):
        status, sentence = refusal(webui, picture, *USUAL, *wrong)
        assert status == 422 and said in sentence
