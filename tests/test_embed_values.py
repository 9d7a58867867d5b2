"""Prompt embeddings as values: assembly for each family, mixing, and the file."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from unrender.core.embed import PromptEmbedding, conditioning
from unrender.core.embed.composing import blended, mixed, without
from unrender.core.embed.conditioning import assembled
from unrender.core.embed.families import CLIP_G, CLIP_L, FAMILIES, FLUX, SD1, SD3, SDXL, family_named
from unrender.core.errors import EmbeddingError, SettingsError, UnrenderError


def sequence(width, seed=0, stretches=1):
    return torch.randn(77 * stretches, width, generator=torch.Generator().manual_seed(seed))


def embedding(seed=0, stretches=1, **parts):
    return PromptEmbedding("micro", sequence(128, seed, stretches), picture=f"p{seed}", fingerprint="f", **parts)


def sdxl(seed=0):
    pooled = torch.randn(1280, generator=torch.Generator().manual_seed(seed + 100))
    return of_sdxl(sequence(768, seed), sequence(1280, seed + 50), pooled)


def of_sdxl(clip_l, clip_g, pooled):
    return assembled(SDXL, {CLIP_L: clip_l, CLIP_G: clip_g}, pooled)


def of_sd1(states):
    return assembled(SD1, {CLIP_L: states})


class TestAssemblies:
    @pytest.mark.parametrize(
        ("name", "width"),
        [("sd15", 768), ("sd15-skip2", 768), ("sd2", 1024), ("micro", 128)],
    )
    def test_one_encoder(self, name, width):
        def make(states):
            (encoder,) = FAMILIES[name].encoders
            return assembled(FAMILIES[name], {encoder.name: states})

        states = sequence(width)
        made = make(states)
        assert torch.equal(made.states, states) and made.pooled is None
        assert FAMILIES[made.family].width == width
        assert make(sequence(width, stretches=3)).states.shape == (231, width)

    def test_sdxl_joins_both_encoders_clip_l_first(self):
        made = sdxl()
        assert made.states.shape == (77, 2048) and made.pooled.shape == (1280,)
        assert torch.equal(made.states[:, :768], sequence(768, 0))
        assert torch.equal(made.states[:, 768:], sequence(1280, 50))

    def test_pooled_vectors(self):
        for family, width in ((SD3, 2048), (FLUX, 768)):
            pooled = torch.randn(width)
            made = assembled(family, {}, pooled)
            assert torch.equal(made.pooled, pooled) and made.states is None and "sets the tone" in made.remark
            with pytest.raises(EmbeddingError, match=f"takes one of {width}"):
                assembled(family, {}, torch.randn(width - 1))

    def test_a_projected_pooled_vector_is_the_picture_at_the_texts_length(self):
        joint = torch.nn.functional.normalize(torch.randn(1280), dim=0)
        pooled = conditioning.projected_pooled(joint, 37.0)
        assert float(pooled.norm()) == pytest.approx(37, rel=1e-5)
        assert torch.allclose(pooled / 37, joint, atol=1e-6)

    def test_half_precision_becomes_float32(self):
        assert of_sd1(sequence(768).half()).states.dtype == torch.float32

    @pytest.mark.parametrize("states", [sequence(1024), sequence(768)[:76], sequence(768)[None], sequence(768)[:0]])
    def test_wrong_shapes(self, states):
        with pytest.raises(EmbeddingError, match=r"Stable Diffusion 1 takes"):
            of_sd1(states)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_no_numbers(self, value):
        states = sequence(768)
        states[40, 7] = value
        with pytest.raises(EmbeddingError, match="states holds NaN or infinite"):
            of_sd1(states)
        with pytest.raises(EmbeddingError, match="pooled vector holds NaN or infinite"):
            assembled(FLUX, {}, states[40])

    def test_other_misfits(self):
        with pytest.raises(EmbeddingError, match="differ in length"):
            of_sdxl(sequence(768, stretches=2), sequence(1280), torch.randn(1280))
        with pytest.raises(EmbeddingError, match="pooled vector is of the shape 768"):
            of_sdxl(sequence(768), sequence(1280), torch.randn(768))
        with pytest.raises(EmbeddingError, match="zero or no number"):
            conditioning.projected_pooled(torch.zeros(1280), 30.0)
        with pytest.raises(EmbeddingError, match="pooled vector is absent"):
            PromptEmbedding("sdxl", sequence(2048)).checked()
        with pytest.raises(EmbeddingError, match="states are absent"):
            PromptEmbedding("sd15", None).checked()
        with pytest.raises(EmbeddingError, match="unknown family"):
            PromptEmbedding("sd9", sequence(768)).checked()
        with pytest.raises(SettingsError, match="sd15, "):
            family_named("sd9")


class TestMixing:
    def test_mean_is_the_weighted_mean(self):
        found = mixed([embedding(0), embedding(1)], [3, 1])
        assert torch.allclose(found.states, 0.75 * sequence(128, 0) + 0.25 * sequence(128, 1), atol=1e-6)
        assert found.picture == "p0+p1" and found.fingerprint == "f"

    def test_spherical_of_two_is_slerp(self):
        a, b = embedding(0), embedding(1)
        found = mixed([a, b], [0.7, 0.3], "spherical").states
        for position in (0, 1, 40, 76):
            u, v = (each.states[position] / each.states[position].norm() for each in (a, b))
            angle = torch.acos(u @ v)
            expected = (torch.sin(0.7 * angle) * u + torch.sin(0.3 * angle) * v) / torch.sin(angle)
            length = 0.7 * a.states[position].norm() + 0.3 * b.states[position].norm()
            assert torch.allclose(found[position], expected * length, atol=1e-4)

    def test_spherical_keeps_lengths_where_the_mean_loses_them(self):
        several = [embedding(seed) for seed in range(4)]
        length = torch.stack([each.states.norm(dim=-1) for each in several]).mean(0)
        assert torch.allclose(mixed(several, how="spherical").states.norm(dim=-1), length, rtol=1e-4)
        assert (mixed(several).states.norm(dim=-1) < 0.7 * length).all()

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.floats(0.01, 10), min_size=2, max_size=5))
    def test_sharing_deals_out_positions_in_proportion(self, weights):
        several = [embedding(seed) for seed in range(len(weights))]
        found = mixed(several, weights, "share").states
        taken = [int((found[1:] == each.states[1:]).all(dim=1).sum()) for each in several]
        assert sum(taken) == 76
        for count, weight in zip(taken, weights, strict=True):
            assert abs(count - 76 * weight / math.fsum(weights)) < len(weights)

    @pytest.mark.parametrize("how", ["mean", "spherical", "share"])
    def test_alone_or_with_weight_zero_nothing_changes(self, how):
        one = embedding(0)
        assert mixed([one], [5], how) is one
        found = mixed([one, embedding(1)], [1, 0], how)
        assert torch.allclose(found.states, one.states, atol=1e-5)

    @pytest.mark.parametrize("how", ["mean", "spherical"])
    def test_order_does_not_matter(self, how):
        several = [embedding(seed) for seed in range(3)]
        turned = mixed(several[::-1], [1, 2, 3], how).states
        assert torch.allclose(mixed(several, [3, 2, 1], how).states, turned, atol=1e-5)

    def test_a_pooled_vector_that_nobody_listens_to_may_be_missing(self):
        """Files of an earlier version have none for Stable Diffusion 1 and 2."""
        earlier = PromptEmbedding("sd15", sequence(768, 1))
        later = replace(earlier, states=sequence(768, 2), pooled=torch.ones(768))
        for made in (mixed([earlier, later]), mixed([later, earlier]), blended(earlier, later, 0.5)):
            assert made.pooled is None and made.states.shape == (77, 768)
        assert torch.equal(mixed([later, later]).pooled, later.pooled)
        assert torch.equal(blended(later, replace(later, pooled=torch.zeros(768)), 0.5).pooled, torch.full((768,), 0.5))
        with pytest.raises(EmbeddingError, match="of the shape 5, but Stable Diffusion 1 takes one of 768"):
            replace(later, pooled=torch.ones(5)).checked()

    def test_pooled_vectors_are_mixed_too(self):
        a, b = sdxl(0), sdxl(1)
        assert torch.allclose(mixed([a, b]).pooled, (a.pooled + b.pooled) / 2, atol=1e-6)
        assert mixed([a, b], how="share").pooled.shape == (1280,)
        assert mixed([a, b], how="spherical").pooled.shape == (1280,)

    def test_the_gap_is_corrected_only_where_it_is_for_all(self):
        assert not mixed([embedding(0, gap_corrected=True), embedding(1)]).gap_corrected
        assert mixed([embedding(0, gap_corrected=True), embedding(1, gap_corrected=True)]).gap_corrected

    @pytest.mark.parametrize(
        ("several", "weights", "how", "says"),
        [
            ([], None, "mean", "no picture"),
            ([embedding()], [1, 2], "mean", "2 weights for 1"),
            ([embedding()], [-1], "mean", "below zero"),
            ([embedding()], [0], "mean", "all are zero"),
            ([embedding()], [float("nan")], "mean", "no number"),
            ([embedding()], None, "sum", "choose mean"),
            ([embedding(), sdxl()], None, "mean", "same family"),
            ([embedding(), PromptEmbedding("micro", sequence(128), fingerprint="g")], None, "mean", "text encoders"),
            ([embedding(), PromptEmbedding("micro", -sequence(128))], None, "spherical", "opposites"),
        ],
    )
    def test_refusals(self, several, weights, how, says):
        with pytest.raises(UnrenderError, match=says):
            mixed(several, weights, how)

    def test_a_shorter_one_is_repeated(self):
        short, long = embedding(0), embedding(1, stretches=2)
        whole = mixed([short, long]).states
        assert torch.allclose(whole[:77], (short.states + long.states[:77]) / 2)
        assert torch.allclose(whole[77:], (short.states + long.states[77:]) / 2)


class TestBlending:
    def test_from_base_to_embedding(self):
        base, other = embedding(0), embedding(1)
        assert torch.equal(blended(base, other, 0).states, base.states)
        assert torch.equal(blended(base, other, 1).states, other.states)
        half = blended(base, other, 0.5)
        assert torch.allclose(half.states, (base.states + other.states) / 2, atol=1e-6)
        assert half.picture == "p1"

    @pytest.mark.parametrize("strength", [-0.01, 1.01, float("nan")])
    def test_strength_out_of_range(self, strength):
        with pytest.raises(SettingsError, match="strength is"):
            blended(embedding(), embedding(), strength)

    def test_without_moves_away_and_keeps_lengths(self):
        own, unwanted, neutral = embedding(0), embedding(1), embedding(2)
        found = without(own, unwanted, neutral, 0.8)
        assert torch.allclose(found.states.norm(dim=-1), own.states.norm(dim=-1), rtol=1e-5)
        away = unwanted.states - neutral.states
        assert ((found.states * away).sum(-1) < (own.states * away).sum(-1)).all()
        assert torch.allclose(without(own, unwanted, neutral, 0).states, own.states, atol=1e-6)
        assert torch.allclose(without(own, neutral, neutral, 1).states, own.states, atol=1e-6)


class TestFiles:
    @pytest.mark.parametrize("made", [embedding(3, 2, projection="ridge", gap_corrected=True), sdxl()])
    def test_load_gives_what_was_saved(self, made, tmp_path):
        path = tmp_path / "a.safetensors"
        made.save(path)
        again = PromptEmbedding.load(path)
        assert torch.equal(again.states, made.states)
        assert (again.pooled is None) == (made.pooled is None)
        for name in ("family", "fingerprint", "picture", "projection", "gap_corrected"):
            assert getattr(again, name) == getattr(made, name)
        assert list(tmp_path.iterdir()) == [path]
        assert torch.equal(PromptEmbedding.from_bytes(path.read_bytes()).states, made.states)

    def test_bytes_are_refused_as_files_are(self):
        from safetensors.torch import save

        for data, match in (
            (b"x" * 40, "a.bin cannot be read"),
            (b"", "cannot be read"),
            (save({"states": sequence(128)}), "no prompt embedding"),
            (embedding().to_bytes()[:-8], "cannot be read"),
        ):
            with pytest.raises(EmbeddingError, match=match):
                PromptEmbedding.from_bytes(data, "a.bin")

    def test_a_pooled_vector_alone(self, tmp_path):
        assembled(FLUX, {}, torch.ones(768)).save(tmp_path / "a.safetensors")
        assert PromptEmbedding.load(tmp_path / "a.safetensors").states is None

    def test_other_programs_can_read_it(self, tmp_path):
        embedding().save(tmp_path / "a.safetensors")
        data = (tmp_path / "a.safetensors").read_bytes()
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        assert header["states"]["shape"] == [77, 128] and header["states"]["dtype"] == "F32"
        assert header["__metadata__"]["family"] == "micro" and header["__metadata__"]["picture"] == "p0"

    def test_what_is_no_embedding(self, tmp_path):
        from safetensors.torch import save_file

        path = tmp_path / "a.safetensors"
        with pytest.raises(EmbeddingError, match="cannot be read"):
            PromptEmbedding.load(path)
        path.write_bytes(b"x" * 40)
        with pytest.raises(EmbeddingError, match="cannot be read"):
            PromptEmbedding.load(path)
        save_file({"states": sequence(128)}, str(path))
        with pytest.raises(EmbeddingError, match="no prompt embedding"):
            PromptEmbedding.load(path)

    def test_what_a_file_may_not_hold(self, tmp_path):
        from safetensors.torch import save_file

        path = tmp_path / "a.safetensors"
        metadata = {"format": "unrender-prompt-embedding", "version": "1", "family": "micro"}
        save_file({"states": sequence(64)}, str(path), metadata)
        with pytest.raises(EmbeddingError, match=r"a\.safetensors: .*77 x 64"):
            PromptEmbedding.load(path)
        save_file({"states": sequence(128) * float("nan")}, str(path), metadata)
        with pytest.raises(EmbeddingError, match="NaN"):
            PromptEmbedding.load(path)
        save_file({"states": sequence(128)}, str(path), {**metadata, "version": "2"})
        with pytest.raises(EmbeddingError, match="another version"):
            PromptEmbedding.load(path)

    def test_a_place_that_cannot_be_written(self, tmp_path):
        with pytest.raises(EmbeddingError, match="cannot be written"):
            embedding().save(tmp_path / "absent" / "a.safetensors")
