"""Soft prompts in every family: encoders of the real widths with random weights, lent to micro's engine."""

from __future__ import annotations

from dataclasses import replace

import pytest
import soft_setting
import torch
from hypothesis import given
from hypothesis import strategies as st
from soft_setting import into_micros_space, lent
from unrender.core.embed.blend import Blend
from unrender.core.embed.families import CLIP_G, CLIP_L, FAMILIES, FLUX, OFFERED, SD1, SD3, SDXL
from unrender.core.embed.projection import closed_form
from unrender.core.embed.seen import Seen
from unrender.core.embed.soft import knowledge
from unrender.core.embed.soft.softener import Soft
from unrender.core.engine import Engine, Settings
from unrender.core.errors import ModelError, SettingsError

pytest_plugins = ["embed_fixtures"]
pytestmark = pytest.mark.usefixtures("quick_norms")

REAL = [name for name in OFFERED if name != "micro"]


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """An engine on micro, as a host has one, which lends it the checkpoint's encoders."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(knowledge, "TEXTS", 32)
        soft_setting.few_steps(patch)
        settings = Settings(clip="micro", captioner=None, device="cpu", cache=tmp_path_factory.mktemp("soft"))
        with Engine(settings) as engine:
            yield engine


def embedded(host, picture, name, sides, blend=None, projection="soft", **more):
    family = FAMILIES[name]
    more = {"text_projection": into_micros_space(family), **more}
    return host.embed(picture, name, projection, blend or Blend(anchor="star"), encoders=sides, **more)


@pytest.mark.parametrize("name", REAL)
def test_every_family_through_its_hosts_own_encoders(host, photographs, name):
    family = FAMILIES[name]
    sides = lent(family)
    made = embedded(host, photographs[0], name, sides)
    assert made.states.shape == (77, family.width) and made.projection == "soft" and not made.remark
    assert made.pooled.shape == (family.pooled_width,)
    own = host.embed_text("star", name, encoders=sides)
    for encoder, part in zip(
        family.encoders, own.states.split([each.width for each in family.encoders], 1), strict=True
    ):
        moved = made.states[:, : encoder.width] if encoder is family.encoders[0] else made.states[:, -encoder.width :]
        assert torch.equal(moved[0], part[0]), "nothing stands before the start"
        assert (moved[1:] - part[1:]).abs().max() > 1e-2, f"{encoder.name} was left as it is"
    assert (made.pooled - own.pooled).abs().max() > 1e-2
    again = embedded(host, photographs[0], name, sides)
    assert torch.equal(again.states, made.states)
    other = embedded(host, photographs[1], name, sides)
    assert not torch.allclose(other.states, made.states, atol=1e-3)
    tuned = embedded(host, photographs[0], name, lent(family, seed=1))
    assert not torch.allclose(tuned.states, made.states, atol=1e-1) and tuned.fingerprint != made.fingerprint


def test_a_texts_end_is_taken_by_the_layer_the_family_names(host, photographs):
    """Found through the same tower, so that only what is taken of it differs."""
    sides = lent(SD1)
    last, earlier = (embedded(host, photographs[0], name, sides).states for name in ("sd15", "sd15-skip2"))
    assert not torch.allclose(last, earlier, atol=1e-2)


def test_a_checkpoint_without_projection(host, photographs):
    """Stable Diffusion 1's: the CLIP that sees the picture has it."""
    bare = {name: replace(side, weights=replace(side.weights, projection=None)) for name, side in lent(SD1).items()}
    made = embedded(host, photographs[0], "sd15", bare)
    assert torch.equal(made.states, embedded(host, photographs[0], "sd15", lent(SD1)).states)
    with pytest.raises(ModelError, match="text projection of the shape 128 x 128 instead of 128 x 768"):
        embedded(host, photographs[0], "sd15", bare, text_projection=None)


def test_sdxls_pooled_vector_is_the_soft_texts_own(host, photographs):
    """Through the checkpoint's own projection, whatever the picture's space is, and refused where it has none."""
    sides = lent(SDXL)
    made = embedded(host, photographs[0], "sdxl", sides)
    scaled = replace(sides[CLIP_G].weights, projection=2 * sides[CLIP_G].weights.projection)
    twice = embedded(host, photographs[0], "sdxl", {**sides, CLIP_G: replace(sides[CLIP_G], weights=scaled)})
    assert torch.allclose(twice.pooled, 2 * made.pooled) and torch.allclose(twice.states, made.states)
    bare = replace(sides[CLIP_G], weights=replace(sides[CLIP_G].weights, projection=None))
    with pytest.raises(ModelError, match="clip_g has no projection; give the whole CLIP"):
        embedded(host, photographs[0], "sdxl", {**sides, CLIP_G: bare})


def test_words_stay_where_nothing_moves_them(host, photographs, monkeypatch):
    """Without a step and a token more, it is what a host makes of the text, of any length."""
    from unrender.core.embed.soft import projection

    monkeypatch.setattr(projection, "AFTER_WORDS", replace(projection.AFTER_WORDS, steps=0))
    monkeypatch.setattr(projection, "told", lambda *_, **__: "")
    for name, words in (("sdxl", "star"), ("sd15", "a red star at night, " * 5)):
        sides = lent(FAMILIES[name])
        made = embedded(host, photographs[0], name, sides, Blend(anchor=words, tokens=0))
        own = host.embed_text(words, name, encoders=sides)
        assert torch.allclose(made.states, own.states, atol=1e-5)
        assert made.pooled is None or torch.allclose(made.pooled, own.pooled, atol=1e-5)


class TestPooledAlone:
    def test_flux_takes_the_end_of_the_soft_text(self, host, photographs):
        sides = lent(FLUX)
        made = embedded(host, photographs[0], "flux", sides)
        assert made.states is None and made.pooled.shape == (768,)
        assert made.remark == "A pooled vector alone sets the tone: the prompt's T5 states still decide what is shown."
        own = host.embed_text("star", "flux", encoders=sides)
        (states,), ends = sides[CLIP_L].states(["star"])
        assert torch.equal(own.pooled, states[0, int(ends[0])]), "not projected"
        assert (made.pooled - own.pooled).norm() > 1e-2
        assert not torch.allclose(made.pooled, embedded(host, photographs[1], "flux", sides).pooled, atol=1e-3)

    def test_flux_by_the_closed_form(self, host, photographs):
        sides, matrix = lent(FLUX), into_micros_space(FLUX)
        made = embedded(host, photographs[0], "flux", sides, Blend(), "pinv", text_projection=matrix)
        form = closed_form(sides[CLIP_L], projection=matrix, norm=1.0)
        end = form.end_state(host.clip.encode_images(photographs[:1])[0])
        assert torch.nn.functional.cosine_similarity(made.pooled, end, dim=0) > 0.9999
        blend = Blend(text="boat", alpha=0.5)
        edited = embedded(host, photographs[0], "flux", sides, blend, "pinv", text_projection=matrix)
        text = host.embed_text("boat", "flux", encoders=sides)
        assert torch.allclose(edited.pooled, made.pooled + 0.5 * text.pooled, atol=1e-4)
        quick = host.embed(photographs[0], "flux", quality="quick", encoders=sides, text_projection=matrix)
        assert torch.allclose(quick.pooled, made.pooled) and quick.projection == "pinv"

    def test_sd3_takes_both_ends_and_projects_the_second(self, host, photographs):
        sides = lent(SD3)
        made = embedded(host, photographs[0], "sd3", sides)
        own = host.embed_text("star", "sd3", encoders=sides)
        ends = []
        for name in (CLIP_L, CLIP_G):
            (states,), places = sides[name].states(["star"])
            ends.append(states[0, int(places[0])])
        wanted = torch.cat([ends[0], ends[1] @ sides[CLIP_G].weights.projection.T])
        assert torch.allclose(own.pooled, wanted, atol=1e-4)
        for part in (slice(768), slice(768, None)):
            assert (made.pooled[part] - own.pooled[part]).norm() > 1e-2
        assert made.states is None and "sets the tone" in made.remark

    def test_several_pictures_strength_and_a_file(self, host, photographs, tmp_path):
        sides = lent(FLUX)
        seen = host.picture_features(photographs[:2])
        one, two = (embedded(host, Seen.of(each[None]), "flux", sides).pooled for each in seen)
        both = embedded(host, Seen.of(seen), "flux", sides)
        assert torch.allclose(both.pooled, (one + two) / 2, atol=1e-3)
        half = embedded(host, Seen.of(seen[:1]), "flux", sides, Blend(anchor="star", text="boat", strength=0.5))
        assert half.states is None and not torch.allclose(half.pooled, one, atol=1e-3)
        both.save(tmp_path / "flux.safetensors")
        assert torch.equal(type(both).load(tmp_path / "flux.safetensors").pooled, both.pooled)

    @pytest.mark.parametrize(("name", "projection"), [("flux", "ridge"), ("sd3", "pinv"), ("sd3", "anchored")])
    def test_what_learns_states_serves_neither(self, host, photographs, name, projection):
        with pytest.raises(SettingsError, match=f"{projection} cannot reach what .* choose soft as projection"):
            host.embed(photographs[0], name, projection)


# --- words that moved, under other words


WORDS = st.lists(st.integers(0, 9), max_size=12).map(tuple)


@given(words=WORDS, others=WORDS)
def test_shared_words_keep_their_movement_and_new_ones_have_none(words, others):
    moved = torch.arange(1.0, len(words) + 1)[:, None].expand(-1, 3)
    found = Soft(words, moved, torch.empty(0, 3)).under(others)
    assert found.shape == (len(others), 3)
    places = [int(row[0]) - 1 for row in found]
    kept = [(place, other) for place, other in zip(places, others, strict=True) if place >= 0]
    assert all(words[place] == other for place, other in kept), "a movement is that of the same word"
    assert [place for place, _ in kept] == sorted({place for place, _ in kept}), "once each, in their order"
    assert {other for place, other in zip(places, others, strict=True) if place < 0} <= set(others)
    assert bool(kept) == bool(set(words) & set(others))


@given(words=WORDS, before=WORDS, after=WORDS)
def test_the_same_words_among_new_ones_keep_all(words, before, after):
    """Where the new ones are none of them."""
    moved = torch.arange(1.0, len(words) + 1)[:, None]
    around = [tuple(each + 100 for each in part) for part in (before, after)]
    found = Soft(words, moved, torch.empty(0, 1)).under(around[0] + words + around[1])
    assert found.flatten().tolist() == [0] * len(before) + moved.flatten().tolist() + [0] * len(after)
