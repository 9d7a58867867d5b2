"""Tuning on a domain: a run that was ended gives the same file, what it made is used by name, and what goes wrong."""

from __future__ import annotations

import errno
import re
from dataclasses import replace

import pytest
import torch
from tuning_setting import SHORT, StopAt, checkpoint, drawings, engine
from unrender.core.clip import Clip
from unrender.core.embed import PromptEmbedding
from unrender.core.embed.blend import Blend
from unrender.core.embed.seen import Seen
from unrender.core.embed.text_side import TextSide
from unrender.core.embed.tuned import Tuned, check_renders
from unrender.core.embed.tuned_places import refuse_places, tuned_folder, tuned_names
from unrender.core.errors import BatchError, Cancelled, EmbeddingError, ModelError, SettingsError
from unrender.core.tuning import domain, journal, loop
from unrender.core.tuning.domain import tune_domain
from unrender.core.variation.lora import Lora
from unrender.core.variation.variations import Request, variations

pytest.importorskip("diffusers", reason="rendering needs diffusers")


@pytest.fixture(autouse=True)
def kept_often(monkeypatch):
    monkeypatch.setattr(loop, "KEEP_EVERY", 3)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("tuning")


@pytest.fixture(scope="module")
def whole(cache):
    """A run that nobody stopped: its outcome, what it told, and the bytes of its file."""
    told = []
    place = tuned_folder(cache) / "oil.safetensors"
    with engine(cache) as one:
        made = tune_domain(one, checkpoint(), drawings(), place, SHORT, report=told.append)
    return made, told, place.read_bytes()


def test_a_short_run_learns_something_and_keeps_its_best(whole, cache):
    made, told, data = whole
    assert [each.step for each in told] == [4, 8, 9]
    assert made.untuned == told[0].untuned and made.value == min(each.value for each in told)
    assert told[-1].value < told[0].value
    assert ("no better" in made.remark) == (made.value >= made.untuned), "nine steps may not do; it says so then"
    assert len(data) < 15e6
    tuned = Tuned.load(made.files[0])
    assert (tuned.family, tuned.checkpoint, len(tuned.pictures)) == ("micro", "micro", 12)
    assert tuned.told["at"] == made.steps and tuned.told["rate"] == SHORT.rate
    assert [each.name for each in made.files[0].parent.iterdir()] == ["oil.safetensors"], "nothing unfinished is left"
    assert tuned_names(tuned_folder(cache)) == ["oil"]


@pytest.mark.parametrize("stops", [(1,), (5, 2)])
def test_a_run_that_was_ended_gives_the_same_file_to_the_byte(stops, whole, cache, tmp_path):
    place = tmp_path / "oil.safetensors"
    with engine(cache) as one:
        for step in stops:
            with pytest.raises(Cancelled):
                tune_domain(one, checkpoint(), drawings(), place, SHORT, progress=StopAt(step))
            assert not place.exists()
        tune_domain(one, checkpoint(), drawings(), place, SHORT)
    assert place.read_bytes() == whole[2]


def test_other_pictures_or_settings_do_not_take_over_what_was_begun(cache, tmp_path):
    place = tmp_path / "oil.safetensors"
    with engine(cache) as one:
        with pytest.raises(Cancelled):
            tune_domain(one, checkpoint(), drawings(), place, SHORT, progress=StopAt(4))
        begun = (tmp_path / ".oil.tuning").read_bytes()
        for pictures, course in ((drawings(12, "line"), SHORT), (drawings(), replace(SHORT, rate=1e-4))):
            with pytest.raises(BatchError, match="unfinished tuning on other pictures, models or settings"):
                tune_domain(one, checkpoint(), pictures, place, course)
    assert (tmp_path / ".oil.tuning").read_bytes() == begun
    (tmp_path / ".oil.tuning").write_bytes(begun[:-20])
    with engine(cache) as one, pytest.raises(BatchError, match="cannot be read as an unfinished tuning"):
        tune_domain(one, checkpoint(), drawings(), place, SHORT)


def test_a_full_disk_leaves_what_was_kept_and_the_run_goes_on_later(whole, cache, tmp_path, monkeypatch):
    place, real, written = tmp_path / "oil.safetensors", journal.replace_whole, []

    def full(path, data):
        written.append(path)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, data)

    monkeypatch.setattr(journal, "replace_whole", full)
    with engine(cache) as one:
        with pytest.raises(BatchError, match=re.escape("cannot be written (No space left on device); make room")):
            tune_domain(one, checkpoint(), drawings(), place, SHORT)
        monkeypatch.setattr(journal, "replace_whole", real)
        went = []
        tune_domain(one, checkpoint(), drawings(), place, SHORT, report=went.append)
    assert went[0].step == 8, "from step 6"
    assert place.read_bytes() == whole[2]


def test_a_loss_that_is_no_number_is_a_sentence_and_keeps_what_was_learned(cache, tmp_path, monkeypatch):
    place, real, calls = tmp_path / "oil.safetensors", loop.Loop._loss, []

    def broken(self, generator):
        calls.append(1)
        loss = real(self, generator)
        return loss * float("nan") if len(calls) == 8 else loss

    monkeypatch.setattr(loop.Loop, "_loss", broken)
    with engine(cache) as one, pytest.raises(ModelError, match="no number at step 8; give a lower learning rate"):
        tune_domain(one, checkpoint(), drawings(), place, SHORT)
    assert journal.read_header(tmp_path / ".oil.tuning").metadata["step"] == "6"


def test_one_picture_is_no_domain(cache, tmp_path):
    with engine(cache) as one, pytest.raises(SettingsError, match="There is 1 picture to learn a domain from"):
        tune_domain(one, checkpoint(), drawings()[:1], tmp_path / "a.safetensors")


def test_a_checkpoint_that_comes_to_its_device_in_parts_is_refused(cache, tmp_path):
    parts = replace(checkpoint(), whole=False)
    with engine(cache) as one, pytest.raises(ModelError, match="does not fit on its device as a whole"):
        tune_domain(one, parts, drawings(), tmp_path / "a.safetensors")


@pytest.mark.parametrize("family", ["sd2", "sdxl"])
def test_families_that_no_closed_form_reaches_are_refused(family):
    from unrender.core.embed.families import family_named

    with pytest.raises(SettingsError, match="cannot be tuned on a domain, because no closed form reaches"):
        domain.check_domain(family_named(family))


def test_with_keys_and_values_a_lora_lies_beside(cache, tmp_path):
    place = tmp_path / "both.safetensors"
    course = replace(SHORT, steps=3, maps=True, rank=2)
    with engine(cache) as one:
        made = tune_domain(one, checkpoint(), drawings(), place, course)
    assert [each.name for each in made.files] == ["both.safetensors", "both.lora.safetensors"]
    lora = Lora.load(made.files[1])
    assert len(lora.layers) == 14 and lora.metadata["ss_network_dim"] == "2"
    assert any(float(pair.up.abs().max()) > 0 for pair in lora.layers.values())


def test_what_was_tuned_is_used_by_name_and_by_file(whole, cache):
    made, _, _ = whole
    picture = drawings()[0]
    with engine(cache) as one:
        plain = one.embed(picture, "micro", "pinv")
        named = one.embed(picture, "micro", "tuned:oil")
        filed = one.embed(picture, "micro", f"tuned:{made.files[0]}")
        edited = one.embed(picture, "micro", "tuned:oil", Blend(text="a red circle"))
        again = one.embed(picture, "micro", "pinv")
    assert named.projection == "tuned:oil" and named.remark == ""
    assert torch.equal(named.states, filed.states) and torch.equal(plain.states, again.states)
    assert not torch.allclose(named.states, plain.states, atol=1e-2)
    assert torch.allclose(named.states[0], plain.states[0]), "the start token's state is the text encoder's"
    assert not torch.equal(edited.states, named.states)


def test_what_a_run_sees_is_what_its_file_sees(whole, cache):
    """The conditions in training and an embedding later are one thing."""
    made, _, _ = whole
    from unrender.core.clip.deep_prompts import DeepPrompts
    from unrender.core.tuning.learned import Sight
    from unrender.core.tuning.material import views_of

    with engine(cache) as one, torch.no_grad():
        clip, form = one.closed_form("micro", encoders=checkpoint().encoders)
        empty = one.embed_text("", "micro").states
        sight = Sight(clip, form, views_of(clip, drawings()[:2]), empty)
        prompts = DeepPrompts.of(dict(Tuned.load(made.files[0]).prompts))
        states = sight.conditions([0, 1], torch.zeros(2, dtype=torch.bool), prompts).states
        found = one.embed(drawings()[1], "micro", "tuned:oil").states
    assert torch.allclose(states[1], found, atol=1e-4)


def test_names_that_do_not_exist_and_files_of_others_are_refused(whole, cache, tmp_path):
    other = tmp_path / "other.safetensors"
    PromptEmbedding("micro", torch.zeros(77, 128)).save(other)
    (tmp_path / "none.safetensors").write_bytes(b"nothing")
    with engine(cache) as one:
        with pytest.raises(SettingsError, match="no tuned projection oils; choose tuned:oil as projection"):
            one.embed(drawings()[0], "micro", "tuned:oils")
        for path in (other, tmp_path / "none.safetensors"):
            with pytest.raises(EmbeddingError, match="cannot be read as a tuned projection"):
                one.embed(drawings()[0], "micro", f"tuned:{path}")
        with pytest.raises(SettingsError, match="oil was tuned for micro, not for Stable Diffusion 1"):
            one.embed(drawings()[0], "sd15", "tuned:oil")
        with pytest.raises(SettingsError, match="closed form, which cannot reach what SDXL listens to"):
            one.embed(drawings()[0], "sdxl", "tuned:oil")
        with pytest.raises(
            SettingsError, match="A tuned projection looks at pictures in its own way; give the pictures themselves"
        ):
            one.embed(Seen(torch.ones(1, 64) / 8, ("a",)), "micro", "tuned:oil")


@pytest.mark.usefixtures("whole")
def test_another_clip_text_encoder_or_unet_is_refused(cache):
    clip = Clip.load("micro", "cpu")
    with torch.no_grad():
        for each in clip._vision.module.parameters():
            each.add_(0.05 * torch.randn_like(each))
    with engine(cache) as one:
        one._models.loaded_clip = clip
        with pytest.raises(ModelError, match="oil was tuned with another CLIP than micro"):
            one.embed(drawings()[0], "micro", "tuned:oil")
    side = TextSide.of(Clip.load("micro", "cpu"))
    for block in side.weights.blocks:
        block.up.mul_(1.1)
    with engine(cache) as one:
        with pytest.raises(ModelError, match="oil was tuned with another checkpoint, micro"):
            one.embed(drawings()[0], "micro", "tuned:oil", encoders={"micro": side})
        unet = checkpoint().pipeline.unet
        check_renders("tuned:oil", cache, unet)
        half = __import__("copy").deepcopy(unet).half()
        check_renders("tuned:oil", cache, half)
        with torch.no_grad():
            for each in half.parameters():
                each.mul_(1.05)
        with pytest.raises(ModelError, match="oil was tuned with another checkpoint"):
            check_renders("tuned:oil", cache, half)


@pytest.mark.usefixtures("whole")
def test_variations_are_rendered_from_it(cache):
    with engine(cache) as one:
        request = Request([drawings()[0]], "tuned:oil", sampling=replace(Request([""]).sampling, steps=2))
        (made,) = variations(one, checkpoint(), request)
    assert "Unrender projection: tuned:oil" in made.infotext


@pytest.mark.parametrize("name", ["tuned:/etc/oil.safetensors", "tuned:../oil", "tuned:oil.safetensors", "tuned:"])
def test_doors_to_others_take_names_and_no_places(name):
    pydantic = pytest.importorskip("pydantic")
    from unrender.server.api_models import EmbedRequest

    refuse_places("tuned:oil")
    refuse_places("ridge")
    assert EmbedRequest(images=["a"], projection="tuned:oil 2").projection == "tuned:oil 2"
    with pytest.raises(SettingsError, match="is no name of a tuned projection"):
        refuse_places(name)
    with pytest.raises(pydantic.ValidationError):
        EmbedRequest(images=["a"], projection=name)
