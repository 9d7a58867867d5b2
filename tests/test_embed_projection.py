"""The closed form against the published arithmetic, written out here on its own, and what it refuses."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_towers import Words, random_weights
from unrender.core.clip.hidden_states import hidden_states
from unrender.core.clip.layers import SECOND_TO_LAST_NORMED
from unrender.core.embed.embedder import Embedder
from unrender.core.embed.families import CLIP_L, SD1, SD1_CLIP_SKIP, SD2
from unrender.core.embed.kinds import way_by, way_of
from unrender.core.embed.projection import closed_form, default_cut, edited, is_published_model
from unrender.core.embed.text_projection import checked_projection, projection_fingerprint, read_projection
from unrender.core.embed.text_side import TextSide
from unrender.core.errors import ModelError, SettingsError


@pytest.fixture(scope="module")
def published():
    """The published model's shape, whose projection has singular values on both sides of 0.3."""
    weights = random_weights(768, 768, 12, 12, quick_gelu=True)
    values = torch.linalg.svdvals(weights.projection)
    assert (values < 0.3).sum() > 50
    return TextSide(weights, Words())


def published_variation(weights, image_features, start):
    inverse = torch.linalg.pinv(weights.projection.double(), atol=0.3)
    f = inverse @ image_features.double()
    f = 27.5 * f / f.norm()
    return torch.cat([start[None].double()] + [f[None]] * 76)


def published_inverse(matrix, cut):
    """pinv from its definition, without torch.linalg.pinv."""
    u, s, v = torch.linalg.svd(matrix.double(), full_matrices=False)
    kept = s > cut
    return v[kept].T @ torch.diag(1 / s[kept]) @ u[:, kept].T


def test_variation_equals_the_published_arithmetic(published):
    joint = torch.randn(768, generator=torch.Generator().manual_seed(1))
    start = hidden_states(published.weights, torch.tensor([[62, 63]]))[0][0, 0]
    found = closed_form(published).variation(joint)
    assert found.shape == (77, 768)
    assert (found - published_variation(published.weights, joint, start)).abs().max() < 1e-5
    expected = published_inverse(published.weights.projection, 0.3) @ joint.double()
    assert (found[5] - 27.5 * expected / expected.norm()).abs().max() < 1e-5
    # single precision rounds by as much itself, where directions near the cut count
    single = torch.linalg.pinv(published.weights.projection, atol=0.3) @ joint
    assert (found[5] - 27.5 * single / single.norm()).abs().max() < 5e-5


def test_edit_equals_the_published_arithmetic(published):
    joint = torch.randn(768, generator=torch.Generator().manual_seed(2))
    (states,), ends = published.states(["a red boat"])
    f = closed_form(published).end_state(joint)
    found = edited(f, states, ends, 0.6)
    end = int(ends[0])
    expected = states[0].clone()
    for position in range(77):
        if position >= end:
            expected[position] = f + 0.6 * states[0, position]
    assert end == len("a red boat") + 1
    assert (found - expected).abs().max() < 1e-5
    assert torch.equal(found[:end], states[0, :end])


def test_the_pictures_length_does_not_matter(published):
    form, joint = closed_form(published), torch.randn(768)
    assert torch.allclose(form.end_state(joint), form.end_state(joint * 7.3), atol=1e-5)
    assert float(form.end_state(joint).norm()) == pytest.approx(27.5, rel=1e-6)


def test_a_long_prompt_is_edited_stretch_by_stretch(published):
    text = "x" * 100
    states, ends = published.long_states(text)
    f = torch.ones(768)
    found = edited(f, states, ends, 0.5)
    assert found.shape == (154, 768) and ends.tolist() == [76, 26]
    assert torch.equal(found[:76], states[0, :76])
    assert torch.allclose(found[76], f + 0.5 * states[0, 76])
    assert torch.equal(found[77 : 77 + 26], states[1, :26])
    assert torch.allclose(found[77 + 26 :], f + 0.5 * states[1, 26:])


def test_other_models_measure_their_norm_and_scale_the_cut():
    side = TextSide(random_weights(), Words())
    assert not is_published_model(side.weights)
    texts = ["a", "boat", "by the sea", "x" * 90]
    ends = []
    for text in texts:
        ids = [62, *Words().encode(text)[:75], 63]
        ends.append(hidden_states(side.weights, torch.tensor([ids]))[0][0, -1].norm())
    assert closed_form(side, texts).norm == pytest.approx(float(torch.stack(ends).mean()), rel=1e-5)
    projection = side.weights.projection
    rms = torch.linalg.svdvals(projection.double()).pow(2).mean().sqrt()
    assert default_cut(side.weights, projection) == pytest.approx(0.3 * float(rms), rel=1e-6)
    scaled = closed_form(side, texts, projection=projection * 5)
    joint = torch.randn(48)
    assert torch.allclose(scaled.end_state(joint), closed_form(side, texts).end_state(joint), atol=1e-4)


def test_a_prompts_own_embedding_comes_back():
    """What the projection loses nothing of, the closed form returns: with no cut and as many joint dimensions."""
    side = TextSide(random_weights(64, 64), Words())
    (states,), ends = side.states(["a red boat by the sea"])
    state = states[0, ends[0]]
    form = closed_form(side, cut=0.0, norm=float(state.norm()))
    assert torch.allclose(form.end_state(side.weights.projection @ state), state, atol=2e-3)


@settings(max_examples=20, deadline=None)
@given(st.floats(0.0, 10.0), st.integers(0, 74))
def test_any_edit_keeps_what_comes_before_the_end(alpha, length):
    side = TextSide(random_weights(layers=1), Words())
    (states,), ends = side.states(["b" * length])
    found = edited(torch.zeros(64), states, ends, alpha)
    assert torch.equal(found[: length + 1], states[0, : length + 1])
    assert torch.allclose(found[length + 1 :], alpha * states[0, length + 1 :])


class TestRefusals:
    def test_a_checkpoint_without_projection(self):
        side = TextSide(random_weights(has_projection=False), Words())
        with pytest.raises(ModelError, match=r"has no text projection.*safetensors file of a full CLIP"):
            closed_form(side, ["a"])
        given_one = closed_form(side, ["a"], projection=random_weights().projection)
        assert torch.isfinite(given_one.inverse).all()

    @pytest.mark.parametrize(
        "garbage",
        [
            torch.zeros(48, 64),
            torch.full((48, 64), 29840.0),
            torch.randn(48, 64) * 1e-9,
            torch.cat([torch.randn(24, 64) / 8, torch.zeros(24, 64)]),
        ],
    )
    def test_uninitialised_memory(self, garbage):
        with pytest.raises(ModelError, match="zeros or garbage"):
            checked_projection(garbage, 64)

    def test_one_wild_value(self):
        wild = torch.randn(48, 64) / 8
        wild[3, 5] = 29840.0
        with pytest.raises(ModelError, match="zeros or garbage"):
            checked_projection(wild, 64)

    def test_nan(self):
        broken = torch.randn(48, 64) / 8
        broken[1, 2] = float("nan")
        with pytest.raises(ModelError, match="NaN"):
            checked_projection(broken, 64)

    @pytest.mark.parametrize("shape", [(64, 48), (48,), (32, 64)])
    def test_wrong_shapes(self, shape):
        with pytest.raises(ModelError, match="shape"):
            checked_projection(torch.randn(shape), 64, 48)

    @pytest.mark.parametrize("alpha", [-0.1, 11.0, float("nan"), float("inf")])
    def test_alpha(self, alpha):
        with pytest.raises(SettingsError, match="alpha is"):
            edited(torch.zeros(4), torch.zeros(1, 77, 4), torch.tensor([1]), alpha)

    @pytest.mark.parametrize("cut", [-1.0, 100.0, float("nan")])
    def test_cut(self, cut):
        with pytest.raises(SettingsError, match="cut"):
            closed_form(TextSide(random_weights(), Words()), ["a"], cut=cut)

    def test_no_prompts_to_measure_with(self):
        with pytest.raises(SettingsError, match="no prompt"):
            closed_form(TextSide(random_weights(), Words()))

    def test_a_picture_of_another_clip(self):
        form = closed_form(TextSide(random_weights(), Words()), ["a"])
        with pytest.raises(ModelError, match="same CLIP"):
            form.end_state(torch.randn(64))

    @pytest.mark.parametrize("joint", [torch.zeros(48), torch.full((48,), float("nan"))])
    def test_a_picture_that_is_nothing(self, joint):
        form = closed_form(TextSide(random_weights(), Words()), ["a"])
        with pytest.raises(ModelError, match="leaves nothing"):
            form.end_state(joint)


class TestProjectionFiles:
    def test_both_layouts_give_the_same(self, tmp_path):
        from safetensors.torch import save_file

        projection = random_weights().projection
        save_file({"text_projection.weight": projection}, str(tmp_path / "a.safetensors"))
        save_file({"text_projection": projection.T.contiguous()}, str(tmp_path / "b.safetensors"))
        a, b = (read_projection(tmp_path / name) for name in ("a.safetensors", "b.safetensors"))
        assert torch.equal(a, projection) and torch.equal(b, projection)
        assert projection_fingerprint(a) == projection_fingerprint(projection.half())
        assert torch.equal(read_projection(tmp_path / "a.safetensors", projection_fingerprint(a)), a)
        with pytest.raises(ModelError, match="another text projection"):
            read_projection(tmp_path / "a.safetensors", "0" * 64)

    def test_a_file_without_one(self, tmp_path):
        from safetensors.torch import save_file

        save_file({"weight": torch.ones(2)}, str(tmp_path / "a.safetensors"))
        with pytest.raises(ModelError, match="has no text projection"):
            read_projection(tmp_path / "a.safetensors")

    def test_no_safetensors_at_all(self, tmp_path):
        (tmp_path / "a.safetensors").write_bytes(b"pickle")
        with pytest.raises(ModelError, match="cannot be read"):
            read_projection(tmp_path / "a.safetensors")


def test_clip_skip_2_is_served_at_once_by_the_same_state_after_its_own_start(published, tmp_path):
    """What follows the start is an approximation: the last layer's state. The start token's state is exact."""
    joint = torch.randn(1, 768, generator=torch.Generator().manual_seed(3))
    assert way_of("quick", SD1_CLIP_SKIP.closed_form) == way_by("pinv") and not SD2.is_served_by("pinv")
    skipping, last = (
        Embedder(None, family, {CLIP_L: published}, list, tmp_path).embed(joint, ["picture"], way_by("pinv"))  # type: ignore[arg-type]
        for family in (SD1_CLIP_SKIP, SD1)
    )
    (own,) = hidden_states(published.weights, torch.tensor([[62, 63]]), (SECOND_TO_LAST_NORMED,))
    assert torch.allclose(skipping.states[0], own[0, 0], atol=1e-5)
    assert not torch.allclose(skipping.states[0], last.states[0], atol=1e-2)
    assert torch.equal(skipping.states[1:], last.states[1:])
    assert not list(tmp_path.iterdir()), "nothing was learned"
