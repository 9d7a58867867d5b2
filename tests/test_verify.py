"""Verifying models: the checks fail where something is wrong, and the statistics are scipy's or hand-made."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from unrender import cli
from unrender.core.clip import Clip
from unrender.core.clip.text_encoder import TowerEncoder
from unrender.core.clip.text_tower import TextTower
from unrender.core.embed.ridge import RidgeFit
from unrender.core.verify.statistics import difference, estimate, retention
from unrender.core.verify.weights import check_clip, check_padding

pytest.importorskip("diffusers", reason="rendering needs diffusers")
PROMPTS = ("a red star", "two blue moons at night", "a picture of the sea", "by mira")


@pytest.fixture(scope="module")
def micro():
    return Clip.load("micro", "cpu", "exact")


@pytest.fixture(scope="module")
def pipeline_folder(tmp_path_factory):
    from unrender.training.diffusion import new_autoencoder, new_unet, write_pipeline

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("pipeline") / "random"
    write_pipeline(folder, new_autoencoder(), new_unet())
    return folder


@pytest.fixture(scope="module")
def tiny_dino(tmp_path_factory):
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 56, "patch_size": 14}
    folder = tmp_path_factory.mktemp("dino")
    Dinov2Model(Dinov2Config(**shape)).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def few_texts(monkeypatch):
    """Where nothing depends on how well a map is learned."""
    monkeypatch.setattr(RidgeFit.__init__, "__defaults__", (200, *RidgeFit.__init__.__defaults__[1:]))


def by_check(findings):
    return {each.check: each for each in findings}


def test_a_sound_clip_passes(micro):
    found = by_check(check_clip(micro, PROMPTS))
    assert found["own text tower equals the library's"].passed
    assert found["text projection"].passed
    assert found["norm of the end-of-text state"].passed is None  # nothing is published for micro


def test_a_projection_that_was_never_loaded_fails(micro):
    weights = micro.text.weights
    damaged = Clip.load("micro", "cpu", "exact")
    zeros = replace(weights, projection=torch.zeros_like(weights.projection))
    damaged.text = TowerEncoder(TextTower(zeros), damaged.text.tokenizer)
    found = by_check(check_clip(damaged, PROMPTS))["text projection"]
    assert found.passed is False
    assert "zeros or garbage" in found.value


def test_padding_is_the_checkpoints_own(pipeline_folder):
    from unrender.core.variation.checkpoint import Checkpoint

    checkpoint = Checkpoint.load(str(pipeline_folder), "cpu")
    (found,) = check_padding(checkpoint)
    assert found.passed
    wrong = {name: side.padded("zero") for name, side in checkpoint.encoders.items()}
    (found,) = check_padding(replace(checkpoint, encoders=wrong))
    assert found.passed is False


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=30))
def test_an_interval_holds_its_mean_and_lies_within_the_values(values):
    found = estimate(np.array(values))
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9
    assert found.mean == pytest.approx(np.mean(values))


def test_intervals_are_those_of_the_normal_distribution_for_many_values():
    values = np.random.default_rng(1).normal(0.3, 0.1, 400)
    found = estimate(values)
    half = 1.96 * values.std(ddof=1) / 20
    assert found.low == pytest.approx(values.mean() - half, abs=half / 5)
    assert found.high == pytest.approx(values.mean() + half, abs=half / 5)


def test_pairing_takes_out_what_pictures_have_in_common():
    pictures = np.random.default_rng(2).normal(0, 1, 100)
    found = difference(pictures + 0.1, pictures)
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))


def test_retention_is_one_for_the_ceiling_and_zero_for_shuffled():
    rng = np.random.default_rng(3)
    zero, ceiling = rng.normal(0.2, 0.05, 60), rng.normal(0.6, 0.05, 60)
    assert retention(ceiling, ceiling, zero) == pytest.approx((1, 1, 1))
    assert retention(zero, ceiling, zero) == pytest.approx((0, 0, 0))
    assert retention((zero + ceiling) / 2, ceiling, zero).mean == pytest.approx(0.5)


def test_retention_below_a_ceiling_that_is_none_is_no_number():
    flat = np.full(5, 0.4)
    assert np.isnan(retention(flat, flat, flat).mean)


@pytest.fixture
def photographs(tmp_path):
    from unrender.core.micro.drawing import draw
    from unrender.core.micro.world import random_scene

    folder = tmp_path / "private"
    folder.mkdir()
    for number in range(2):
        draw(random_scene(random.Random(number)), number).picture.save(folder / f"secret-{number}.png")
    (folder / "broken.jpg").write_bytes(b"broken")
    return folder


def test_the_command_runs_whole_on_micro(pipeline_folder, tiny_dino, photographs, tmp_path, capsys):
    out = tmp_path / "report"
    arguments = ["verify", "--checkpoint", str(pipeline_folder), "--pictures", str(photographs)]
    arguments += ["--judge", "micro-tagger", "--dino", tiny_dino, "--captioner", "micro", "--searches", "peer"]
    arguments += ["--seeds", "1", "--steps", "1", "--device", "cpu", "--cache", str(tmp_path / "cache")]
    arguments += ["-o", str(out)]
    assert cli.main([*arguments, "--sheet"]) == 0
    told = capsys.readouterr()
    assert "broken.jpg" in told.err
    assert "Whenever it is ended, the same command goes on" in told.err
    values = json.loads((out / "report.json").read_text())
    searched = {"words, honest", "words, peer"}
    assert set(values["ways"]) == {"quick", "good", "best", "caption", "empty prompt", "another's", *searched}
    assert all(way["second judge"] is not None for way in values["ways"].values())
    assert values["recommended"] is values["recommended search"] is None  # by two pictures
    assert set(values["over the usual search"]) == {"peer"}
    assert not list((tmp_path / "cache").rglob("recommended-*"))
    page = (out / "report.md").read_text()
    assert told.out == page
    assert page.startswith(f"# Which embedding suits {pipeline_folder.name}\n")
    prompts = [prompt for search in values["searches"].values() for prompt in search["prompts"]]
    assert not [word for word in (str(tmp_path), "secret", "private", *prompts) if word and word in page]
    with Image.open(out / "sheet.png") as sheet:
        assert sheet.width > 1000
    (out / "report.md").unlink()
    (out / "sheet.png").unlink()
    assert cli.main(arguments) == 0
    assert (out / "report.md").read_text() == page
    assert not (out / "sheet.png").exists()
    assert "Rendering" not in capsys.readouterr().err


def test_a_checkpoint_is_known_by_its_weights(pipeline_folder):
    from unrender.core.variation.checkpoint import Checkpoint
    from unrender.core.verify.about import checkpoint_fingerprint

    checkpoint = Checkpoint.load(str(pipeline_folder), "cpu")
    found = checkpoint_fingerprint(checkpoint)
    assert checkpoint_fingerprint(replace(checkpoint, name="another")) == found
    checkpoint.pipeline.to(torch.float16)
    assert checkpoint_fingerprint(checkpoint) == found
    with torch.no_grad():
        next(checkpoint.pipeline.vae.parameters()).add_(0.5)
    assert checkpoint_fingerprint(checkpoint) != found


def test_what_was_recommended_is_the_default_from_then_on(few_texts, micro, tmp_path):
    from unrender.core.embed.recommended import recommend, recommended
    from unrender.core.engine import Engine, Settings

    picture = Image.new("RGB", (64, 64), "teal")
    with Engine(Settings(clip="micro", cache=str(tmp_path)), load_clip=lambda _: micro) as engine:
        quick = engine.embed(picture, "micro", quality="quick")
        recommend(tmp_path / "embed", quick.fingerprint, "ridge")
        assert (quick.projection, engine.embed(picture, "micro").projection) == ("pinv", "ridge")
        assert engine.embed(picture, "micro", "pinv").projection == "pinv"
        recommend(tmp_path / "embed", quick.fingerprint, "quick")
        assert engine.embed(picture, "micro").projection == "pinv"
    assert recommended(tmp_path / "embed", "another") is None
    next((tmp_path / "embed").glob("recommended-*")).write_text("nonsense")
    assert recommended(tmp_path / "embed", quick.fingerprint) is None


def test_dino_sees_as_transformers_own_processor_does(tiny_dino):
    from transformers import BitImageProcessor, Dinov2Model
    from unrender.core.verify.dino import Dino

    image = Image.effect_noise((300, 260), 90).convert("RGB")
    processor = BitImageProcessor(
        size={"shortest_edge": 256},
        crop_size={"height": 224, "width": 224},
        resample=Image.Resampling.BICUBIC,
        image_mean=(0.485, 0.456, 0.406),
        image_std=(0.229, 0.224, 0.225),
        do_convert_rgb=True,
    )
    with torch.no_grad():
        theirs = Dinov2Model.from_pretrained(tiny_dino).eval()(**processor(image, return_tensors="pt")).pooler_output
    ours = Dino.load(tiny_dino, "cpu").encode_images([image])
    assert float(torch.nn.functional.cosine_similarity(ours, theirs)) == pytest.approx(1, abs=1e-4)


def test_a_folder_that_holds_no_dino_is_one_sentence(tmp_path):
    from unrender.core.errors import ModelError
    from unrender.core.verify.dino import Dino

    with pytest.raises(ModelError, match=r"holds no model\.safetensors"):
        Dino.load(str(tmp_path), "cpu")


def test_a_folder_without_pictures_is_one_sentence(tmp_path, capsys):
    assert cli.main(["verify", "--clip", "micro", "--pictures", str(tmp_path)]) == 2
    assert "holds no picture" in capsys.readouterr().err


def test_a_clip_alone(capsys):
    assert cli.main(["verify", "--clip", "micro", "--device", "cpu"]) == 0
    assert "text projection" in capsys.readouterr().out
