"""A picture moved until a CLIP finds it like a text, in each way there is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from moving_setting import Stop
from PIL import Image
from unrender import cli
from unrender.core.clip import Clip
from unrender.core.clip.sight import Sight
from unrender.core.engine import Engine, Settings
from unrender.core.errors import Cancelled, ModelError, SettingsError, UnrenderError
from unrender.core.micro.drawing import draw
from unrender.core.micro.world import Scene
from unrender.core.moving.frames import Frames
from unrender.core.moving.optimise import STATE, Plan, optimise
from unrender.core.moving.optimising import Optimisation, optimised
from unrender.core.moving.painters import Cppn, Pixels
from unrender.core.progress import Progress

TEXT = "a large red star in a meadow"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def micro():
    return Clip.load("micro", "cpu")


@pytest.fixture(scope="module")
def sight(micro):
    return Sight.of(micro)


@pytest.fixture(scope="module")
def target(micro):
    return micro.encode_texts([TEXT])[0]


@pytest.fixture(scope="module")
def star():
    return draw(Scene("star", "red", "large", "meadow", "oil", "none"), 3)[0]


def pixels_of(picture):
    return torch.from_numpy(np.asarray(picture, np.float32) / 255).permute(2, 0, 1)[None]


class TestSight:
    def test_sees_what_the_clip_sees(self, micro, sight, star):
        torch.testing.assert_close(sight.features(pixels_of(star)), micro.encode_images([star]), atol=1e-5, rtol=0)

    def test_of_another_preprocessing_too(self, clip):
        own, noise = Sight.of(clip), np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        picture = Image.fromarray(noise)
        with torch.no_grad():
            found = own.features(pixels_of(picture))
        torch.testing.assert_close(found, clip.encode_images([picture]), atol=1e-5, rtol=0)

    def test_has_the_gradient_of_the_pixels(self, sight, target, star):
        pixels = pixels_of(star).requires_grad_()
        (sight.features(pixels) @ target).sum().backward()
        step = 1e-3
        assert pixels.grad is not None
        there = torch.zeros_like(pixels)
        there[0, 1, 30, 20] = step
        with torch.no_grad():
            ends = [float((sight.features(pixels + sign * there) @ target)[0]) for sign in (1, -1)]
        assert float(pixels.grad[0, 1, 30, 20]) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=0.05, abs=2e-4)


class TestPainters:
    def test_pixels_begin_with_a_picture(self, star):
        with torch.no_grad():
            shown = Pixels((64, 64), star, 0, CPU).picture()
        assert float((shown - pixels_of(star).clamp(0.01, 0.99)).abs().max()) < 1e-3

    @pytest.mark.parametrize("size", [(64, 48), (33, 65)])
    def test_have_the_size_that_is_asked_for(self, size):
        for painter in (Pixels(size, None, 0, CPU), Cppn(size, 0, CPU)):
            assert painter.picture().shape == (1, 3, size[1], size[0])

    def test_a_cppn_is_the_same_picture_at_another_size(self):
        painters = [Cppn((side, side), 0, CPU) for side in (32, 64)]
        for painter in painters:
            generator = torch.Generator().manual_seed(1)
            painter.values[-2].data = torch.randn(painter.values[-2].shape, generator=generator)
        with torch.no_grad():
            small, large = (painter.picture() for painter in painters)
        shrunk = torch.nn.functional.interpolate(large, (32, 32), mode="bilinear", antialias=True)
        assert np.corrcoef(shrunk.flatten(), small.flatten())[0, 1] > 0.9


def frames(folder: Path) -> Frames:
    found = Frames(folder)
    found.begin({})
    return found


class TestOptimise:
    @pytest.mark.parametrize("make", [lambda: Pixels((64, 64), None, 0, CPU), lambda: Cppn((64, 64), 0, CPU)])
    def test_comes_nearer_to_the_text(self, sight, target, tmp_path, make):
        steps = optimise(sight, make(), target, Plan(12, 2), frames(tmp_path))
        assert [step for step, _ in steps] == list(range(13))
        assert steps[-1][1] > steps[0][1] + 0.05
        assert len(list(tmp_path.glob("*.png"))) == 13

    def test_moves_by_adam(self, sight, target, tmp_path):
        painter, gradients, steps = Pixels((64, 64), None, 0, CPU), [], 5
        begun = painter.values[0].detach().clone()
        painter.steered = lambda found, _: gradients.append(found[0].clone()) or found
        optimise(sight, painter, target, Plan(steps, 1), frames(tmp_path))
        theirs = torch.nn.Parameter(begun)
        adam = torch.optim.Adam([theirs], betas=(0.9, 0.99), eps=1e-8)
        for number, gradient in enumerate(gradients, start=1):
            adam.param_groups[0]["lr"] = painter.rate * (0.1 + 0.9 * (1 + np.cos(np.pi * number / steps)) / 2)
            theirs.grad = gradient
            adam.step()
        torch.testing.assert_close(painter.values[0], theirs, atol=1e-5, rtol=1e-4)

    def test_what_was_stopped_goes_on_and_is_the_same(self, sight, target, tmp_path):
        def run(folder, progress=None):
            painter = Pixels((64, 64), None, 0, CPU)
            return optimise(sight, painter, target, Plan(8, 2), frames(folder), progress=progress or Progress())

        whole = run(tmp_path / "whole")
        with pytest.raises(Cancelled):
            run(tmp_path / "parts", Stop(tmp_path / "parts" / STATE))
        assert (tmp_path / "parts" / STATE).exists() and not (tmp_path / "parts" / "000009.png").exists()
        assert run(tmp_path / "parts") == whole
        for name in ("000005.png", "000009.png"):
            assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()

    def test_a_state_of_other_work_is_told(self, sight, target, tmp_path):
        optimise(sight, Pixels((64, 64), None, 0, CPU), target, Plan(1, 1), frames(tmp_path))
        with pytest.raises(UnrenderError, match="does not say how to go on"):
            optimise(sight, Pixels((32, 32), None, 0, CPU), target, Plan(1, 1), frames(tmp_path))
        (tmp_path / STATE).write_bytes(b"torn")
        with pytest.raises(UnrenderError, match="does not say how to go on"):
            optimise(sight, Pixels((64, 64), None, 0, CPU), target, Plan(1, 1), frames(tmp_path))

    def test_no_numbers_are_a_sentence(self, sight, tmp_path):
        with pytest.raises(ModelError, match="no numbers"):
            painter = Pixels((64, 64), None, 0, CPU)
            optimise(
                sight,
                painter,
                torch.full((128,), float("nan"))[: sight.features(painter.picture()).shape[1]],
                Plan(1, 1),
                frames(tmp_path),
            )

    @pytest.mark.parametrize("wrong", [{"steps": 0}, {"views": 0}, {"views": 1000}, {"seed": -1}])
    def test_settings_without_sense_are_refused(self, wrong):
        with pytest.raises(SettingsError):
            Plan(**wrong)

    def test_a_cppn_begins_with_no_picture(self, star):
        with pytest.raises(SettingsError, match="cannot be made of a picture"):
            Optimisation(TEXT, "cppn", init=star)


@pytest.fixture(scope="module")
def checkpoint():
    pytest.importorskip("diffusers", reason="rendering needs diffusers")
    from unrender.core.variation.checkpoint import Checkpoint

    return Checkpoint.load("micro", "cpu")


class TestLatent:
    def optimised(self, checkpoint, folder, **asked):
        from unrender.core.variation.sampling import Sampling

        engine = Engine(Settings(clip="micro", captioner=None, device="cpu"))
        request = Optimisation(TEXT, "latent", Plan(6, 1), Sampling(3, 3.0), **asked)
        return optimised(engine, checkpoint, request, Frames(folder))

    def test_comes_nearer_from_what_is_rendered_of_the_text(self, checkpoint, tmp_path):
        steps = self.optimised(checkpoint, tmp_path)
        assert steps[-1][1] > steps[0][1]

    def test_begins_with_a_picture(self, checkpoint, tmp_path, star):
        self.optimised(checkpoint, tmp_path, init=star)
        with Image.open(tmp_path / "000001.png") as first:
            assert np.corrcoef(np.ravel(first.convert("RGB")), np.ravel(star))[0, 1] > 0.9

    def test_the_hold_leads_to_what_the_diffusion_model_sees(self, checkpoint, star):
        from unrender.core.moving.latents import Hold, Latents
        from unrender.core.variation.variations import negative_embedding

        engine = Engine(Settings(clip="micro", captioner=None, device="cpu"))
        negative = negative_embedding(engine, checkpoint)
        held = Latents(checkpoint, star, Hold(engine.embed_text(TEXT, "micro"), negative, 3.0))
        generator = torch.Generator().manual_seed(0)
        (step,) = held.steered([torch.zeros_like(held.values[0])], generator)
        latents = held.values[0].detach()
        seen = held._denoised(latents, torch.Generator().manual_seed(0))
        assert float(step.norm()) == pytest.approx(1, abs=1e-4)
        assert float((latents - 0.1 * step - seen).norm()) < float((latents - seen).norm())


def test_the_command_writes_picture_strip_and_film_and_leaves_nothing_else(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    common = ["optimise", TEXT, "--by", "pixels", "--clip", "micro", "--device", "cpu", "--moves", "3", "--views", "1"]
    assert cli.main([*common, "-o", "out.png", "--strip", "strip.png", "--film", "film.png"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["film.png", "out.png", "strip.png"]
    with Image.open("film.png") as film, Image.open("out.png") as last:
        assert film.n_frames == 4
        film.seek(3)
        assert film.convert("RGB").tobytes() == last.convert("RGB").tobytes()
    assert "a picture of similarity" in capsys.readouterr().err
