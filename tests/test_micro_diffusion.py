"""The micro Stable Diffusion: a pipeline of diffusers that draws what its captions say."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("diffusers", reason="rendering needs diffusers")

from unrender.core.micro import DIFFUSION_FOLDER
from unrender.core.micro.pictures import render
from unrender.core.variation.checkpoint import Checkpoint
from unrender.training.evaluate_diffusion import text_to_image, through_autoencoder
from unrender.training.patch_latents import POSTERIOR_DEVIATION, set_encoder


@pytest.fixture(scope="module")
def micro():
    return Checkpoint.load("micro", "cpu")


def test_it_is_an_ordinary_pipeline_of_under_20_megabytes(micro):
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel

    pipeline = micro.pipeline
    assert type(pipeline) is StableDiffusionPipeline
    assert isinstance(pipeline.unet, UNet2DConditionModel)
    assert isinstance(pipeline.vae, AutoencoderKL)
    assert isinstance(pipeline.scheduler, DDIMScheduler)
    files = [path for path in DIFFUSION_FOLDER.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 20_000_000
    assert {path.suffix for path in files} <= {".json", ".txt", ".safetensors"}


def test_its_text_encoder_is_the_micro_clips(micro):
    from unrender.core.engine import Engine, Settings

    with Engine(Settings(clip="micro", captioner=None, device="cpu")) as engine:
        own = engine.embed_text("three blue stars at night, pixel art", "micro")
        its = engine.embed_text("three blue stars at night, pixel art", "micro", encoders=micro.encoders)
    assert torch.allclose(own.states, its.states, atol=2e-3)


def test_latents_have_deviation_one_and_pictures_come_back(micro):
    pictures = render("validation", 60)
    with torch.no_grad():
        found = micro.pipeline.vae.encode(pictures.pixels.float() / 127.5 - 1).latent_dist
    assert found.mode().shape == (60, 16, 8, 8)
    assert float(found.mode().std()) == pytest.approx(1, abs=0.1)
    assert float(found.std.mean()) == pytest.approx(POSTERIOR_DEVIATION, rel=0.05)
    decibel, kept = through_autoencoder(micro, pictures)
    assert decibel > 25
    assert kept["colour"] > 0.9 and kept["shape"] > 0.85


def test_an_encoder_that_is_set_keeps_as_much_as_principal_components():
    """The best any linear code of 16 numbers a patch can do, computed by an independent decomposition."""
    from unrender.training.diffusion import new_autoencoder

    values = render("validation", 200).pixels.float() / 127.5 - 1
    patches = torch.nn.functional.pixel_unshuffle(values, 8).permute(0, 2, 3, 1).reshape(-1, 192)
    centred = patches - patches.mean(0)
    best = float(torch.linalg.svdvals(centred)[16:].square().sum())
    autoencoder = new_autoencoder()
    set_encoder(autoencoder, values)
    with torch.no_grad():
        latents = autoencoder.encode(values).latent_dist.mode().permute(0, 2, 3, 1).reshape(-1, 16)
    with_one = torch.cat([latents, torch.ones(len(latents), 1)], dim=1)
    lost = float((with_one @ torch.linalg.lstsq(with_one, patches).solution - patches).square().sum())
    assert best <= lost * 1.0001
    assert lost < 1.1 * best


def test_it_draws_what_a_caption_says(micro):
    drawn = text_to_image(micro, render("test", 30))
    assert sum(drawn.values()) / len(drawn) > 0.7  # by chance .18


@pytest.mark.full
def test_every_factor_is_drawn(micro):
    drawn = text_to_image(micro, render("test", 300))
    assert sum(drawn.values()) / len(drawn) >= 0.8
    assert min(drawn.values()) >= 0.6
