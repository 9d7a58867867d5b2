"""The parts of tuning, each beside an independent reference: tokens in a vision tower, the loss, low-rank maps."""

from __future__ import annotations

import pytest
import torch
from conftest import random_open_clip
from tuning_setting import checkpoint, drawings
from unrender.core.clip import Clip
from unrender.core.clip.deep_prompts import DeepPrompts
from unrender.core.embed.projection import closed_form
from unrender.core.embed.text_side import TextSide
from unrender.core.errors import ModelError, SettingsError
from unrender.core.tuning.course import Course, check_pictures
from unrender.core.tuning.low_rank import LowRankMaps
from unrender.core.tuning.noise import Condition, Drawn, NoiseLoss
from unrender.core.variation.lora import Lora

diffusers = pytest.importorskip("diffusers", reason="rendering needs diffusers")


def prompts_for(clip, count=3):
    made = DeepPrompts(len(clip.blocks.modules), clip.blocks.width, count)
    made.start(torch.Generator().manual_seed(1))
    return made


@pytest.fixture(scope="module")
def micro():
    return Clip.load("micro", "cpu")


def test_tokens_stand_beside_all_patches_of_micros_tower(micro):
    """Against the layers taken one by one: every patch goes through all of them, with three tokens behind."""
    views = torch.stack([micro.view(each) for each in drawings(2)])
    tower, projection = micro._vision.module
    prompts = prompts_for(micro)
    tokens = prompts().detach()
    states = tower.pre_layrnorm(tower.embeddings(views))
    assert states.shape[1] == 65
    for layer, own in zip(tower.encoder.layers, tokens, strict=True):
        states = layer(torch.cat([states, own.expand(2, -1, -1)], 1))[:, :65]
    expected = projection(tower.post_layernorm(states[:, 0]))
    before = micro.traced(views)
    with micro.blocks.with_tokens(tokens):
        found = micro.traced(views)
    assert torch.allclose(found, expected, atol=1e-5)
    assert not torch.allclose(found, before, atol=1e-2)
    assert torch.equal(micro.traced(views), before), "they are gone afterwards"


def test_tokens_stand_beside_all_patches_of_open_clips_tower(open_clip_transform, open_clip_tokenizer):
    model = random_open_clip(width=64, heads=2, layers=2, joint=32)
    clip = Clip.from_open_clip(model, open_clip_transform, open_clip_tokenizer)
    views = torch.randn(2, 3, *model.visual.image_size)
    seen: list[int] = []
    before = clip.traced(views)
    with clip.blocks.with_tokens(prompts_for(clip)().detach()):
        given = [
            each.register_forward_pre_hook(lambda _, args: seen.append(max(args[0].shape[:2])))
            for each in clip.blocks.modules
        ]
        found = clip.traced(views)
    for handle in given:
        handle.remove()
    patches = 1 + model.visual.grid_size[0] * model.visual.grid_size[1]
    assert seen == [patches + 3] * len(clip.blocks.modules), "each layer is given all patches, and three tokens"
    assert found.shape == before.shape and not torch.allclose(found, before)


def test_what_is_no_vision_transformer_is_refused(open_clip_transform, open_clip_tokenizer):
    clip = Clip.from_open_clip(
        random_open_clip(width=64, heads=2, layers=1, joint=32), open_clip_transform, open_clip_tokenizer
    )
    object.__setattr__(clip._vision, "blocks", None)
    with pytest.raises(ModelError, match="takes no further tokens"):
        _ = clip.blocks


def test_a_gradient_reaches_the_tokens_and_no_weight(micro):
    prompts = prompts_for(micro)
    views = torch.stack([micro.view(each) for each in drawings(2)])
    with micro.blocks.with_tokens(prompts()):
        micro.traced(views).pow(2).sum().backward()
    assert prompts.tokens.grad is not None and all(float(each.norm()) > 0 for each in prompts.tokens.grad)
    assert all(each.grad is None for each in micro._vision.module.parameters())


def test_the_traced_closed_form_is_the_closed_form(micro):
    form = closed_form(TextSide.of(micro), norm=10.0)
    joints = micro.encode_images(list(drawings(3)))
    expected = torch.stack([form.variation(each) for each in joints])
    assert torch.allclose(form.traced(joints), expected, atol=1e-5)


class _Asked:
    """A UNet that answers with one tensor."""

    def __init__(self, answer):
        self.answer, self.seen = answer, None

    def __call__(self, noisy, times, encoder_hidden_states, **further):
        self.seen = (noisy, further)
        return type("Out", (), {"sample": self.answer})


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("bound", [None, 5.0])
def test_the_loss_is_that_of_diffusers_schedulers(kind, bound):
    scheduler = diffusers.DDPMScheduler(prediction_type=kind, beta_schedule="scaled_linear")
    latents, noise, answer = torch.randn(3, 4, 8, 8).unbind(0)[0][None].repeat(3, 1, 1, 1), *torch.randn(2, 3, 4, 8, 8)
    times = torch.tensor([10, 500, 990])
    unet = _Asked(answer)
    found = NoiseLoss(scheduler, bound).of(unet, latents, Drawn(noise, times), Condition(torch.zeros(3, 1, 1)))
    assert torch.allclose(unet.seen[0], scheduler.add_noise(latents, noise, times), atol=1e-5)
    velocity = scheduler.get_velocity(latents, noise, times)
    wanted = {"epsilon": noise, "v_prediction": velocity, "sample": latents}[kind]
    errors = (answer - wanted).pow(2).flatten(1).mean(1)
    if bound is not None:
        ratio = scheduler.alphas_cumprod[times] / (1 - scheduler.alphas_cumprod[times])
        errors = errors * ratio.clamp(max=bound) / {"epsilon": ratio, "v_prediction": ratio + 1, "sample": 1}[kind]
    assert torch.allclose(found, errors, rtol=1e-4)


def test_a_scheduler_of_another_noise_is_refused():
    with pytest.raises(ModelError, match="FlowMatchEulerDiscreteScheduler, has no noise"):
        NoiseLoss(diffusers.FlowMatchEulerDiscreteScheduler())


@torch.no_grad()
def test_maps_change_nothing_at_first_and_then_what_their_lora_does(tmp_path):
    unet = checkpoint().pipeline.unet
    maps = LowRankMaps(unet, 4)
    maps.start(torch.Generator().manual_seed(0))
    assert len(maps.names) == 14 and all(name.endswith(("attn2.to_k", "attn2.to_v")) for name in maps.names)
    given = torch.randn(1, 16, 8, 8), torch.tensor([300]), torch.randn(1, 77, 128)
    plain = unet(*given).sample
    with maps.added(unet):
        assert torch.equal(unet(*given).sample, plain)
        for up in maps.up:
            up.normal_(0, 0.1)
        changed = unet(*given).sample
    assert not torch.allclose(changed, plain, atol=1e-3)
    maps.lora({}).save(tmp_path / "one.safetensors")
    before = {name: each.clone() for name, each in unet.named_parameters()}
    with Lora.load(tmp_path / "one.safetensors").applied(unet, "one"):
        assert torch.allclose(unet(*given).sample, changed, atol=1e-4)
    assert all(torch.equal(before[name], each) for name, each in unet.named_parameters())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"steps": 0}, "number of steps is 0"),
        ({"rate": 0.0}, "learning rate is 0"),
        ({"rate": float("nan")}, "learning rate is nan"),
        ({"size": 500}, "side is 500 pixels"),
        ({"rank": 1000}, "rank is 1000"),
        ({"min_snr": -1.0}, "bound of the weights is -1"),
        ({"prompts": False}, "Nothing is to be learned"),
    ],
)
def test_a_course_that_makes_no_sense_is_refused(values, said):
    with pytest.raises(SettingsError, match=said):
        Course(**values)


@pytest.mark.parametrize(
    ("count", "limits", "differing", "said"),
    [
        (1, (10, 5000), 1, "There is 1 picture to learn a domain from; give 10 or more, or tune on one subject"),
        (6000, (10, 5000), 6000, "6,000 pictures to learn a domain from; give 5,000 at most"),
        (6, (1, 5), 6, "6 pictures to learn one subject from; give 5 at most"),
        (12, (10, 5000), 2, "Only 2 of the pictures differ"),
    ],
)
def test_how_many_pictures_there_may_be(count, limits, differing, said):
    with pytest.raises(SettingsError, match=said):
        check_pictures(count, limits, differing)
