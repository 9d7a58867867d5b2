"""Tuning on one subject: a LoRA and the embedding beside it, for every family, and what variations make of them."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_pipelines import tiny_pipeline
from tuning_setting import SHORT_ONLINE, StopAt, checkpoint, drawings, engine
from unrender import cli
from unrender.core.embed import PromptEmbedding
from unrender.core.embed.blend import Blend
from unrender.core.embed.families import family_named
from unrender.core.errors import Cancelled, ModelError, SettingsError
from unrender.core.foreign import read_header
from unrender.core.tuning import loop
from unrender.core.tuning.learned import Given, Learned
from unrender.core.tuning.loop import Loop, Task
from unrender.core.tuning.material import Material
from unrender.core.tuning.noise import NoiseLoss
from unrender.core.tuning.online import tune_online
from unrender.core.variation.lora import Added, Lora
from unrender.core.variation.sampling import Sampling
from unrender.core.variation.variations import Request, variations

pytest.importorskip("diffusers", reason="rendering needs diffusers")


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("online")


@pytest.fixture(scope="module")
def tuned(cache):
    """The files of one subject, and their bytes."""
    with engine(cache) as one:
        _, _, files = tune_online(
            one, checkpoint(), drawings()[:1], cache / "cat.safetensors", SHORT_ONLINE, projection="pinv"
        )
    return files


def test_a_lora_and_the_embedding_that_it_was_learned_with(tuned, cache):
    assert [each.name for each in tuned] == ["cat.safetensors", "cat.embedding.safetensors"]
    lora = Lora.load(tuned[0])
    assert all(float(pair.up.abs().max()) > 0 for pair in lora.layers.values())
    assert all(name.endswith(("attn2_to_k", "attn2_to_v")) for name in lora.layers)
    assert lora.metadata["ss_network_module"] == "networks.lora" and lora.metadata["ss_network_dim"] == "16"
    with engine(cache) as one:
        plain = one.embed(drawings()[0], "micro", "pinv", encoders=checkpoint().encoders)
    assert torch.equal(PromptEmbedding.load(tuned[1]).states, plain.states)


def test_a_run_that_was_ended_gives_the_same_lora_to_the_byte(tuned, cache, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "KEEP_EVERY", 2)
    asked = (checkpoint(), drawings()[:1], tmp_path / "cat.safetensors", SHORT_ONLINE)
    with engine(cache) as one:
        with pytest.raises(Cancelled):
            tune_online(one, *asked, projection="pinv", progress=StopAt(3))
        assert (tmp_path / ".cat.tuning").exists()
        tune_online(one, *asked, projection="pinv")
    assert (tmp_path / "cat.safetensors").read_bytes() == tuned[0].read_bytes()
    assert not (tmp_path / ".cat.tuning").exists()


def test_with_deep_prompts_the_clip_learns_to_see_too(cache):
    course = replace(SHORT_ONLINE, steps=2, prompts=True)
    with engine(cache) as one:
        _, embedding, files = tune_online(one, checkpoint(), drawings()[:1], None, course)
        plain = one.embed(drawings()[0], "micro", "pinv")
    assert files == () and not torch.allclose(embedding.states, plain.states, atol=1e-2)


def test_variations_take_a_lora_and_leave_the_checkpoint_as_it_was(tuned, cache):
    few = Sampling(steps=2, guidance=3)
    with engine(cache) as one:

        def rendered(lora=None):
            request = Request([drawings()[0]], "pinv", Blend(), sampling=few, lora=lora)
            (made,) = variations(one, checkpoint(), request)
            return np.asarray(made.image, float)

        plain = rendered()
        changed = rendered(Added.load(tuned[0], 4.0))
        none = rendered(Added.load(tuned[0], 0.0))
        assert np.abs(changed - plain).max() > 1 and np.abs(none - plain).max() <= 1
        assert np.array_equal(rendered(), plain)


def test_loras_of_other_models_and_other_files_are_refused(tuned, tmp_path):
    lora = Lora.load(tuned[0])
    unet = checkpoint().pipeline.unet
    strange = Lora({"nowhere_attn2_to_k": next(iter(lora.layers.values()))})
    wide = Lora(
        {name: replace(pair, down=torch.zeros(2, 9), up=torch.zeros(3, 2)) for name, pair in lora.layers.items()}
    )
    for other, said in ((strange, "has no nowhere_attn2_to_k"), (wide, "is 3 x 9")):
        with pytest.raises(ModelError, match=said), other.applied(unet, "other"):
            pass
    from safetensors.torch import save_file

    save_file({"lora_te_text_model.lora_down.weight": torch.zeros(2, 2)}, tmp_path / "text.safetensors")
    with pytest.raises(ModelError, match="holds lora_te_text_model"):
        Lora.load(tmp_path / "text.safetensors")
    with pytest.raises(SettingsError, match="strength is nan"):
        Added(lora, strength=float("nan"))


@pytest.mark.parametrize("family", ["sd2", "sdxl"])
def test_the_other_families_are_tuned_on_a_subject(family, transformers_folder):
    """Their UNets at full text width, with whatever stands in the prompt's place; SDXL also takes a pooled vector."""
    torch.manual_seed(0)
    pipeline, known = tiny_pipeline(family, transformers_folder), family_named(family)
    pooled = torch.randn(known.pooled_width) if known.pooled_width else None
    made = PromptEmbedding(family, torch.randn(77, known.width), pooled)
    empty = PromptEmbedding(family, torch.zeros(77, known.width), None if pooled is None else pooled * 0)
    course = replace(SHORT_ONLINE, steps=2, empty=0.5)
    learned = Learned(course, None, pipeline.unet)
    material = Material.of(drawings()[:2], pipeline, 64, True)
    source = Given([made, made], empty, 64)
    Loop(Task(pipeline.unet, NoiseLoss(pipeline.scheduler), source, material, course, learned)).run()
    assert learned.maps is not None and all(float(up.detach().abs().max()) > 0 for up in learned.maps.up)


def test_the_command_tunes_and_varies(tmp_path, capsys):
    drawings()[0].save(tmp_path / "a.png")
    lora, picture = tmp_path / "cat.safetensors", str(tmp_path / "a.png")
    common = ["--checkpoint", "micro", "--cache", str(tmp_path), "--projection", "pinv", "--steps", "2"]
    assert cli.main(["tune", "--online", picture, "-o", str(lora), *common]) == 0
    out = tmp_path / "out.png"
    assert cli.main(["vary", picture, "-o", str(out), "--lora", str(lora), "--guidance", "3", *common]) == 0
    assert out.exists() and "cat.embedding.safetensors" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["a.png", "-o", "x"], "There is 1 picture to learn a domain from"),
        (["a.png", "-o", "a/b"], "a/b is neither a plain name nor a file's; end it in .safetensors"),
        (["a.png", "-o", "x", "--projection", "soft"], "--projection is for --online"),
        (["a.png", "-o", "x", "--deep-prompts"], "--deep-prompts is for --online"),
        (["a.png", "-o", "x", "--online"], "x is no name of a LoRA's file"),
        (["a.png", "-o", "x.safetensors", "--online", "--judge", "micro"], "--judge is for a domain"),
        (["a.png", "-o", "x", "--steps", "0"], "number of steps is 0"),
        (["a.png", "-o", "a.png.safetensors", "--online", "--rate", "nan"], "learning rate is nan"),
        (["nowhere", "-o", "x.safetensors", "--online"], "nowhere"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_loaded(given, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    drawings()[0].save(tmp_path / "a.png")
    monkeypatch.setattr("unrender.core.variation.checkpoint.Checkpoint.load", None)
    assert cli.main(["tune", *given, "--checkpoint", "micro", "--cache", str(tmp_path)]) in (1, 2)
    assert said in capsys.readouterr().err


@pytest.mark.full
def test_a_process_that_was_killed_at_any_time_gives_the_same_file(tmp_path):
    """By the operating system, a random while after it has kept something, four times."""
    for number, drawing in enumerate(drawings()):
        drawing.save(tmp_path / f"{number:02}.png")
    command = [sys.executable, "-m", "unrender", "tune", str(tmp_path), "--checkpoint", "micro"]
    command += ["--cache", str(tmp_path), "--steps", "150", "--batch", "1", "--check-every", "50"]
    subprocess.run([*command, "-o", "whole"], check=True, capture_output=True)
    unfinished, rng, steps = tmp_path / "tuned" / ".killed.tuning", np.random.default_rng(0), []
    for _ in range(4):
        process = subprocess.Popen([*command, "-o", "killed"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        before = kept_at(unfinished)
        while kept_at(unfinished) == before:
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(rng.random())
        process.send_signal(signal.SIGKILL)
        process.wait()
        steps.append(kept_at(unfinished))
    assert steps == sorted(set(steps)) and 0 < steps[-1] < 150
    subprocess.run([*command, "-o", "killed"], check=True, capture_output=True)
    whole, killed = ((tmp_path / "tuned" / f"{name}.safetensors").read_bytes() for name in ("whole", "killed"))
    assert whole == killed and not unfinished.exists()


def kept_at(unfinished: Path) -> int:
    """After how many steps; 0 for no file."""
    return int(read_header(unfinished).metadata["step"]) if unfinished.exists() else 0
