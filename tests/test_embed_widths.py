"""Embeddings through encoders of the real families' shapes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from small_towers import Words, random_weights
from unrender.core.clip import Clip
from unrender.core.clip.hidden_states import hidden_states
from unrender.core.clip.layers import SECOND_TO_LAST
from unrender.core.embed.embedder import Embedder, own_side
from unrender.core.embed.families import SD1, SD2, SDXL
from unrender.core.embed.gap import GapCorrection
from unrender.core.embed.kinds import way_by
from unrender.core.embed.projection import ClosedForms
from unrender.core.embed.ridge import RidgeFit
from unrender.core.embed.text_side import TextSide
from unrender.core.errors import ModelError
from unrender.core.micro import PHRASES_FOLDER
from unrender.core.phrases.composed import composed_prompts
from unrender.core.phrases.vocabulary import load_vocabulary

RIDGE = way_by("ridge")

pytest_plugins = ["embed_fixtures"]
pytestmark = pytest.mark.usefixtures("quick_norms")


class StandIn:
    """The part of a CLIP that an embedder uses, around a small random tower."""

    text = None

    def __init__(self, weights):
        self.weights, self.fingerprint = weights, weights.fingerprint()

    def encode_texts(self, texts, progress=None):
        ids = [(Words.start_of_text, *Words().encode(text)[:75], Words.end_of_text) for text in texts]
        ends = torch.stack([hidden_states(self.weights, torch.tensor([row]))[0][0, -1] for row in ids])
        return torch.nn.functional.normalize(ends @ self.weights.projection.T, dim=-1)


def embedder(family, sides, clip, folder, **more):
    vocabulary = load_vocabulary(None, PHRASES_FOLDER)
    return Embedder(clip, family, sides, lambda: vocabulary, folder, fit=RidgeFit(16, rank=8), **more)


class TestFamilies:
    """Towers of the real widths with two blocks."""

    def test_sd2_takes_the_second_to_last_layer_normalised_and_pads_with_zero(self, tmp_path):
        weights = random_weights(1024, 1024, 2, 16)
        clip = StandIn(weights)
        made = embedder(SD2, {"clip_h": TextSide(weights, Words())}, clip, tmp_path)
        text = made.text("boat").states
        assert text.shape == (77, 1024)
        ids = torch.tensor([[62, *Words().encode("boat"), 63, *[0] * 71]])
        x = hidden_states(weights, ids, [SECOND_TO_LAST])[0][0]
        assert torch.allclose(text, torch.nn.functional.layer_norm(x, (1024,), *weights.final_norm[:2]), atol=1e-4)
        assert made.embed(clip.encode_texts(["boat"]), ["key"], RIDGE).states.shape == (77, 1024)

    def test_sdxl_both_encoders_from_the_seconds_joint_space(self, tmp_path):
        small, large = random_weights(768, 768, 2, 12, quick_gelu=True), random_weights(1280, 1280, 2, 20)
        clip = StandIn(large)
        sides = {"clip_l": TextSide(small, Words()), "clip_g": TextSide(large, Words())}
        made = embedder(SDXL, sides, clip, tmp_path)
        features = clip.encode_texts(["boat", "cat"])
        found = made.embed(features, ["a", "b"], RIDGE)
        assert found.states.shape == (77, 2048) and found.pooled.shape == (1280,) and found.picture == "a+b"
        one = made.embed(features[:1], ["a"], RIDGE)
        norms = TextSide(large, Words()).mean_norms(composed_prompts(load_vocabulary(None, PHRASES_FOLDER), 8))
        assert torch.allclose(one.pooled, features[0] * norms[1], atol=1e-4)
        text = made.text("boat")
        ends = [62, *Words().encode("boat"), 63]
        for slot, weights, filler in ((slice(768), small, 63), (slice(768, 2048), large, 0)):
            ids = torch.tensor([[*ends, *[filler] * 71]])
            assert torch.allclose(text.states[:, slot], hidden_states(weights, ids, [SECOND_TO_LAST])[0][0], atol=1e-4)
        pooled = hidden_states(large, torch.tensor([ends]))[0][0, -1] @ large.projection.T
        assert torch.allclose(text.pooled, pooled, atol=1e-3)
        pictures = 0.2 * features.new_ones(1280) + torch.nn.functional.normalize(torch.randn(12, 1280), dim=1)
        gap = GapCorrection.measured(pictures)
        assert made.embed(pictures[:1], ["a"], RIDGE, gap=gap).gap_corrected

    def test_lengths_are_measured_once_for_an_encoder_as_it_is(self, monkeypatch):
        """A host's engines, one for each picture, share what is measured, which takes longer than a picture."""
        true, measured = TextSide.mean_norms, []

        def counted(side, prompts, check):
            measured.append(side)
            return true(side, prompts, check)

        monkeypatch.setattr(TextSide, "mean_norms", counted)
        forms, side = ClosedForms(), TextSide(random_weights(64, 64, 1, 2), Words())
        length = forms.projected_length(side, ["boat", "cat"])
        assert length == forms.projected_length(side, ["boat", "cat"]) == true(side, ["boat", "cat"])[1]
        assert len(measured) == 1
        side.weights.final_norm[0].mul_(2)  # as a LoRA changes weights in place
        assert forms.projected_length(side, ["boat", "cat"]) != length and len(measured) == 2

    def test_a_checkpoints_own_encoder_and_a_projection_from_elsewhere(self, tmp_path):
        whole = random_weights(768, 768, 1, 12)
        checkpoint = replace(whole, projection=None)
        sides = {"clip_l": TextSide(checkpoint, Words())}
        clip = StandIn(whole)
        features = clip.encode_texts(["boat"])
        with pytest.raises(ModelError, match="no text projection"):
            embedder(SD1, sides, clip, tmp_path).embed(features, ["key"], way_by("pinv"))
        found = embedder(SD1, sides, clip, tmp_path, text_projection=whole.projection)
        found = found.embed(features, ["key"], way_by("pinv"))
        assert found.states.shape == (77, 768)
        found = embedder(SD1, sides, clip, tmp_path).embed(features, ["key"], RIDGE)
        assert found.states.shape == (77, 768)

    def test_an_encoder_that_is_not_there(self, tmp_path):
        large = random_weights(1280, 1280, 1, 20)
        with pytest.raises(ModelError, match="listens to clip_l, which is not there"):
            embedder(SDXL, {"clip_g": TextSide(large, Words())}, StandIn(large), tmp_path)

    def test_which_clip_serves_which_encoder(self, clip):
        asked = []

        def load(name: str) -> Clip:
            asked.append(name)
            return clip

        sides = [own_side(clip, SDXL, encoder, load) for encoder in SDXL.encoders]
        assert asked == ["ViT-L-14/openai"]
        assert [side.padding for side in sides] == ["end", "zero"]
