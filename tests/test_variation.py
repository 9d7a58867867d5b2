"""From a picture to a picture: diffusers' own pipelines are the reference."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import random_open_clip, write_clip_tokenizer
from hub_server import hub_fixture, no_settings_of_this_machine_fixture, server_fixture  # noqa: F401
from PIL import Image
from tiny_pipelines import FAMILIES, tiny_pipeline
from unrender import cli
from unrender.core.clip import Clip
from unrender.core.embed.blend import Blend
from unrender.core.engine import Engine, Settings
from unrender.core.errors import Cancelled, EmbeddingError, ModelError, SettingsError
from unrender.core.metadata import read_metadata
from unrender.core.progress import Progress
from unrender.core.variation.checkpoint import Checkpoint
from unrender.core.variation.render import Sampling, render
from unrender.core.variation.variations import Request, variations

pytest.importorskip("diffusers", reason="rendering needs diffusers")
PROMPT = "a red boat, in the style of nobody; 4k!"
FEW = Sampling(steps=3, seed=5)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizers")
    write_clip_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoints(tokenizers):
    return {family: Checkpoint.of(tiny_pipeline(family, tokenizers), family) for family in FAMILIES}


@pytest.fixture(scope="module")
def engine(open_clip_transform, open_clip_tokenizer, tmp_path_factory):
    """With a CLIP as wide as Stable Diffusion 1's."""
    model = random_open_clip(width=768, heads=12, layers=1, joint=64, quick_gelu=True)
    clip = Clip.from_open_clip(model, open_clip_transform, open_clip_tokenizer)
    settings = Settings(captioner=None, cache=tmp_path_factory.mktemp("engine"))
    return Engine(settings, clip=clip)


@pytest.fixture
def picture(photographs):
    return photographs[0]


def difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).max())


@pytest.mark.parametrize("family", FAMILIES)
def test_a_text_renders_what_diffusers_own_pipeline_does(checkpoints, engine, family):
    checkpoint = checkpoints[family]
    ours = render(checkpoint, *texts(engine, checkpoint, PROMPT, "blurry"), FEW)
    checkpoint.pipeline.set_progress_bar_config(disable=True)
    theirs = checkpoint.pipeline(
        PROMPT,
        negative_prompt="blurry",
        num_inference_steps=FEW.steps,
        guidance_scale=FEW.guidance,
        generator=torch.Generator().manual_seed(FEW.seed),
    ).images[0]
    assert difference(ours, theirs) <= 1
    assert difference(ours, render(checkpoint, *texts(engine, checkpoint, "another", "blurry"), FEW)) > 1


def texts(engine, checkpoint, *prompts):
    family = checkpoint.family.name
    return [engine.embed_text(prompt, family, encoders=checkpoint.encoders) for prompt in prompts]


def test_a_picture_renders_without_words_and_repeats_exactly(checkpoints, engine, picture):
    checkpoint = checkpoints["sd15"]
    request = Request([picture], sampling=FEW)
    first, second = (next(variations(engine, checkpoint, request)) for _ in range(2))
    assert difference(first.image, second.image) == 0
    assert first.infotext == second.infotext
    empty = render(checkpoint, *texts(engine, checkpoint, "", ""), FEW)
    assert difference(first.image, empty) > 1


def test_seeds_count_up(checkpoints, engine, picture):
    made = list(variations(engine, checkpoints["sd15"], Request([picture], sampling=FEW, count=2)))
    assert [each.seed for each in made] == [5, 6]
    assert difference(made[0].image, made[1].image) > 1


def test_strength_zero_is_the_text_alone(checkpoints, engine, picture):
    checkpoint = checkpoints["sd15"]
    request = Request([picture], blend=Blend(text=PROMPT, strength=0), sampling=FEW)
    assert (
        difference(
            next(variations(engine, checkpoint, request)).image,
            render(checkpoint, *texts(engine, checkpoint, PROMPT, ""), FEW),
        )
        == 0
    )


def test_a_long_text_beside_a_short_negative(checkpoints, engine, picture):
    request = Request([picture], blend=Blend(text="a boat, " * 60), sampling=FEW)
    made = next(variations(engine, checkpoints["sd15"], request))
    assert made.image.size == (64, 64)


def test_a_picture_to_begin_with_keeps_more_at_a_lower_denoise(checkpoints, engine, picture):
    checkpoint, size = checkpoints["sd15"], (72, 64)
    start = picture.resize(size)

    def changed(denoise):
        sampling = Sampling(steps=10, size=size, denoise=denoise)
        made = next(variations(engine, checkpoint, Request([picture], sampling=sampling, init=start)))
        assert made.image.size == size
        assert f"Denoising strength: {denoise:g}" in made.infotext
        return made.image

    barely = changed(0.1)
    assert (
        np.corrcoef(np.ravel(barely), np.ravel(changed(0.2)))[0, 1]
        > np.corrcoef(np.ravel(barely), np.ravel(changed(1.0)))[0, 1]
    )


def test_sdxl_takes_zeros_for_an_empty_negative_as_it_was_trained(checkpoints, engine):
    from unrender.core.variation.variations import takes_zeros

    assert takes_zeros(checkpoints["sdxl"])
    assert not takes_zeros(checkpoints["sd15"])


def test_an_embedding_of_another_family_is_refused(checkpoints, engine):
    (empty,) = texts(engine, checkpoints["sd15"], "")
    with pytest.raises(EmbeddingError, match="family sd2"):
        render(checkpoints["sd2"], empty, empty, FEW)


def test_damaged_weights_give_a_sentence_and_no_picture(tokenizers, engine):
    checkpoint = Checkpoint.of(tiny_pipeline("sd15", tokenizers), "damaged")
    with torch.no_grad():
        checkpoint.pipeline.unet.conv_out.weight.fill_(float("nan"))
    with pytest.raises(ModelError, match="damaged gave no numbers"):
        render(checkpoint, *texts(engine, checkpoint, "a", ""), FEW)


def test_rendering_stops_when_told(checkpoints, engine):
    class Stop(Progress):
        def check(self):
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        render(checkpoints["sd15"], *texts(engine, checkpoints["sd15"], "a", ""), FEW, progress=Stop())


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"guidance": float("nan")},
        {"seed": -1},
        {"denoise": 0},
        {"denoise": 1.5},
        {"size": (64, 60)},
        {"size": (0, 64)},
    ],
)
def test_settings_without_sense_are_one_sentence(wrong):
    with pytest.raises(SettingsError) as error:
        replace(Sampling(), **wrong)
    assert str(error.value).endswith(".")


def test_a_checkpoint_folder_or_nothing(tmp_path):
    with pytest.raises(ModelError, match=r"no folder in diffusers. format"):
        (tmp_path / "empty").mkdir()
        Checkpoint.load(str(tmp_path / "empty"), "cpu")
    pickle = tmp_path / "model.ckpt"
    pickle.write_bytes(b"pickle")
    with pytest.raises(ModelError, match="no safetensors file"):
        Checkpoint.load(str(pickle), "cpu")
    for name in ("micro-that-is-not-there", "gone.safetensors", "a/b/c"):
        with pytest.raises(ModelError, match="OWNER/NAME"):
            Checkpoint.load(name, "cpu")
    broken = tmp_path / "model.safetensors"
    broken.write_bytes(b"broken")
    with pytest.raises(ModelError, match="cannot be read as safetensors"):
        Checkpoint.load(str(broken), "cpu")


def test_the_command_writes_a_picture_that_says_how_it_was_made(checkpoints, tmp_path, picture, capsys):
    from unrender.training.diffusion import new_autoencoder, new_unet, write_pipeline

    torch.manual_seed(0)
    write_pipeline(tmp_path / "micro-sd", new_autoencoder(), new_unet())
    picture.save(tmp_path / "picture.png")
    common = ["vary", str(tmp_path / "picture.png"), "--checkpoint", str(tmp_path / "micro-sd"), "--steps", "2"]
    assert cli.main([*common, "-o", str(tmp_path / "out"), "--count", "2", "--text", "a red star"]) == 0
    assert cli.main([*common, "-o", str(tmp_path / "one.png"), "--projection", "pinv"]) == 0
    assert [path.name for path in sorted((tmp_path / "out").iterdir())] == ["0001.png", "0002.png"]
    with Image.open(tmp_path / "out" / "0002.png") as made:
        assert made.size == (64, 64)
        assert made.text["parameters"].startswith("a red star\nSteps: 2, Sampler: DDIM")
    found = read_metadata(tmp_path / "out" / "0002.png")
    assert (found.prompt, found.seed, found.model) == ("a red star", "1", "micro-sd")
    assert cli.main([*common, "-o", str(tmp_path / "one.png"), "--count", "3"]) == 2
    assert "give a folder" in capsys.readouterr().err


def test_a_pipeline_comes_from_a_hub_without_what_is_not_needed(server, hub, tokenizers, tmp_path, engine):
    pipeline = tiny_pipeline("sd15", tokenizers)
    pipeline.save_pretrained(tmp_path / "saved")
    files = {
        path.relative_to(tmp_path / "saved").as_posix(): path.read_bytes()
        for path in (tmp_path / "saved").rglob("*")
        if path.is_file()
    }
    index = json.loads(files["model_index.json"])
    index["safety_checker"] = ["stable_diffusion", "StableDiffusionSafetyChecker"]
    files["model_index.json"] = json.dumps(index).encode()
    server.repos["someone/pipeline"] = {
        **files,
        "safety_checker/model.safetensors": b"large",
        "unet/diffusion_pytorch_model.fp16.safetensors": b"half",
        "v1-5-pruned.safetensors": b"larger",
    }
    loaded = Checkpoint.load("someone/pipeline", "cpu", hub)
    assert not any(word in path for _, path, _ in server.requests for word in ("safety_checker", "fp16", "pruned"))
    asked = len(server.requests)
    again = Checkpoint.load("someone/pipeline", "cpu", hub)
    assert len(server.requests) == asked
    own = Checkpoint.of(pipeline)
    wanted = render(own, *texts(engine, own, PROMPT, ""), FEW)
    for each in (loaded, again):
        assert difference(render(each, *texts(engine, each, PROMPT, ""), FEW), wanted) == 0


@pytest.mark.full
@pytest.mark.parametrize("family", ["sd15", "sdxl"])
def test_full_size_random_weights_render_one_step(family, full_pipeline, engine, photographs):
    """The true widths and depths of Stable Diffusion 1; SDXL's widths at a small depth."""
    checkpoint = Checkpoint.of(full_pipeline(family), family)
    one = Sampling(steps=1, size=(64, 64))
    if family == "sd15":
        made = next(variations(engine, checkpoint, Request([photographs[0]], sampling=one))).image
        other = next(variations(engine, checkpoint, Request([photographs[1]], sampling=one))).image
    else:
        made, other = (render(checkpoint, *texts(engine, checkpoint, text, ""), one) for text in ("a boat", "a cat"))
    assert made.size == (64, 64)
    assert difference(made, other) > 0


@pytest.fixture
def full_pipeline(tokenizers):
    def make(family):
        pipeline = tiny_pipeline(family, tokenizers)
        pipeline.register_modules(unet=full_unet(family == "sdxl"), vae=full_autoencoder())
        return pipeline

    return make


def full_unet(sdxl):
    from diffusers import UNet2DConditionModel

    if not sdxl:
        return UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8).eval()
    return UNet2DConditionModel(
        sample_size=128,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(320, 640, 1280),
        layers_per_block=1,
        attention_head_dim=(5, 10, 20),
        cross_attention_dim=2048,
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=1280 + 6 * 256,
    ).eval()


def full_autoencoder():
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        sample_size=512,
    ).eval()
