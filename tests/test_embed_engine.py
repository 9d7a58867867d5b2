"""Pictures to embeddings through the engine, on the micro model."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from embed_settings import FEW, renamed
from unrender.core.clip import Clip
from unrender.core.clip.layers import LAST, SECOND_TO_LAST
from unrender.core.embed import PromptEmbedding
from unrender.core.embed.blend import Blend
from unrender.core.embed.gap import GapCorrection
from unrender.core.embed.ridge import fit_maps
from unrender.core.embed.seen import Seen
from unrender.core.embed.text_side import TextSide
from unrender.core.engine import Engine
from unrender.core.errors import EmbeddingError, ModelError, SettingsError
from unrender.core.images import image_key, open_image
from unrender.core.micro import PHRASES_FOLDER
from unrender.core.phrases.composed import composed_prompts
from unrender.core.phrases.vocabulary import load_vocabulary
from unrender.core.progress import Progress

pytest_plugins = ["embed_fixtures"]
pytestmark = pytest.mark.usefixtures("quick_norms")


class TestMicro:
    def test_pinv_is_the_start_and_one_state(self, engine, photographs):
        made = engine.embed(photographs[0], "micro", "pinv")
        assert made.states.shape == (77, 128) and made.projection == "pinv"
        assert torch.equal(made.states[1:], made.states[1].expand(76, -1))
        start = TextSide.of(engine.clip).states([""])[0][0][0, 0]
        assert torch.allclose(made.states[0], start)
        assert made.picture == image_key(open_image(photographs[0]))
        assert made.fingerprint == engine.clip.fingerprint

    def test_a_pictures_embedding_runs_no_text_encoder(self, engine, photographs, monkeypatch):
        for projection in ("pinv", "ridge"):
            engine.embed(photographs[0], "micro", projection, fit=FEW)
        monkeypatch.setattr(TextSide, "states", lambda *_: pytest.fail("a text was encoded"))
        monkeypatch.setattr(TextSide, "long_states", lambda *_: pytest.fail("a text was encoded"))
        for projection in ("pinv", "ridge"):
            engine.embed(photographs[1], "micro", projection, fit=FEW)

    def test_the_same_again_and_from_a_file(self, engine, photographs, tmp_path):
        made = engine.embed(photographs[0], "micro", "ridge", fit=FEW)
        assert torch.equal(engine.embed(photographs[0], "micro", "ridge", fit=FEW).states, made.states)
        made.save(tmp_path / "a.safetensors")
        assert torch.equal(PromptEmbedding.load(tmp_path / "a.safetensors").states, made.states)
        engine.unload()  # the second time the map comes from the disk
        assert torch.equal(engine.embed(photographs[0], "micro", "ridge", fit=FEW).states, made.states)

    def test_text_in_the_edit_form(self, engine, photographs):
        side = TextSide.of(engine.clip) if engine.clip else None
        picture = engine.embed(photographs[0], "micro", "pinv")
        found = engine.embed(photographs[0], "micro", "pinv", blend=Blend(text="a red star", alpha=0.5))
        side = side or TextSide.of(engine.clip)
        (states,), ends = side.states(["a red star"])
        end = int(ends[0])
        assert torch.allclose(found.states[:end], states[0, :end])
        assert torch.allclose(found.states[end:], picture.states[1] + 0.5 * states[0, end:], atol=1e-5)

    def test_strength_zero_is_the_text_itself(self, engine, photographs):
        for text in ("", "a red star"):
            states = TextSide.of(engine.clip).states([text])[0][0][0]
            for projection in ("pinv", "ridge"):
                found = engine.embed(photographs[0], "micro", projection, Blend(text=text, strength=0), fit=FEW)
                assert torch.allclose(found.states, states, atol=1e-6)

    def test_a_long_text_with_a_picture(self, engine, photographs):
        found = engine.embed(photographs[0], "micro", "pinv", Blend(text="a red star, " * 40))
        assert len(found.states) > 77 and len(found.states) % 77 == 0

    def test_several_pictures(self, engine, photographs):
        one, two = (engine.embed(each, "micro", "pinv").states for each in photographs[:2])
        both = engine.embed(photographs[:2], "micro", "pinv", blend=Blend(weights=[1, 3]))
        assert torch.allclose(both.states, 0.25 * one + 0.75 * two, atol=1e-5)

    def test_the_gap_correction_is_used_and_recorded(self, engine, photographs):
        varied = [photo.rotate(angle) for photo in photographs for angle in (0, 90)]
        gap = engine.measure_gap(varied)
        shipped = engine.embed(photographs[0], "micro", "ridge", fit=FEW)
        corrected = engine.embed(photographs[0], "micro", "ridge", gap=gap, fit=FEW)
        assert corrected.gap_corrected and shipped.gap_corrected and not corrected.remark
        assert (corrected.states - shipped.states).abs().max() > 0.05
        with Engine(engine.settings, clip=renamed(engine.clip)) as unknown:
            plain = unknown.embed(photographs[0], "micro", "ridge", fit=FEW)
        assert not plain.gap_corrected and "40 varied pictures" in plain.remark
        # on average a corrected picture is where texts are: the map's mean
        features = engine.clip.encode_images(varied)
        spread = torch.linalg.norm(gap.centred(features, 1.0), dim=1).pow(2).mean().sqrt()
        assert float(spread) == pytest.approx(1, rel=1e-4)

    def test_a_texts_states_are_reconstructed(self, engine):
        """A floor under what the map learned: texts it has not seen, share of the variance about the mean text.
        Measured with 1,000 prompts: 0.65 last, 0.58 second-to-last."""
        engine.embed(torch.zeros(64, 64, 3).numpy(), "micro", "pinv")
        clip, vocabulary = engine.clip, load_vocabulary(None, PHRASES_FOLDER)
        side, layers = TextSide.of(clip), (LAST, SECOND_TO_LAST)
        assert side.is_of(clip) and side.padded("zero").is_of(clip) and not side.is_of(Clip.load("micro"))
        maps = fit_maps(clip.encode_texts, side, layers, composed_prompts(vocabulary, 1000))
        held_out = composed_prompts(vocabulary, 300, "held out")
        features, (wanted, _) = clip.encode_texts(held_out), side.states(held_out, layers)
        for layer, states, least in zip(layers, wanted, (0.6, 0.52), strict=True):
            error = (maps[layer].states(features) - states).pow(2).sum()
            explained = 1 - float(error / (states - states.mean(0)).pow(2).sum())
            sys.stdout.write(f"{layer}: {explained:.3f} of the variance of unseen texts' states explained\n")
            assert explained > least
            shuffled = maps[layer].states(features.roll(1, 0))
            assert (shuffled - states).pow(2).sum() > 2 * error

    def test_refusals(self, engine, photographs):
        with pytest.raises(SettingsError, match="no picture"):
            engine.embed([], "micro")
        with pytest.raises(SettingsError, match="no model family 'sd9'"):
            engine.embed(photographs[0], "sd9")
        with pytest.raises(SettingsError, match="choose soft, pinv, ridge, bank or anchored"):
            engine.embed(photographs[0], "micro", "magic")
        with pytest.raises(SettingsError, match=r"pinv cannot reach what Stable Diffusion 2"):
            engine.embed(photographs[0], "sd2", "pinv")
        with pytest.raises(SettingsError, match="ridge cannot reach what FLUX listens to"):
            engine.embed(photographs[0], "flux", "ridge")
        with pytest.raises(ModelError, match="768 wide, but this one is 128 wide"):
            engine.embed(photographs[0], "sd15")
        with pytest.raises(SettingsError, match="give less than 1 as strength"):
            engine.embed(photographs[0], "micro", "ridge", Blend(text="a red star"), fit=FEW)
        long = engine.embed(photographs[0], "micro", "ridge", Blend(text="a red star, " * 40, strength=0.5), fit=FEW)
        assert len(long.states) > 77  # the picture's own are repeated, as hosts do
        for wrong in ({"alpha": -1}, {"strength": 2}, {"correction": -1}, {"temperature": 0}):
            with pytest.raises(SettingsError):
                Blend(**wrong)


def test_what_was_seen_elsewhere_is_as_good_as_the_picture(engine, photographs):
    seen = Seen.of(3 * engine.clip.encode_images([open_image(each) for each in photographs[:2]]))
    known = GapCorrection(torch.full((len(seen.features[0]),), 0.01), 0.5, 40)
    for projection in ("pinv", "ridge"):
        expected = engine.embed(photographs[:2], "micro", projection, gap=known, fit=FEW)
        made = engine.embed(seen, "micro", projection, gap=known, fit=FEW)
        assert torch.allclose(made.states, expected.states, atol=1e-4)
        assert len(set(made.picture.split("+"))) == 2
    # without the pictures at hand a prompt is found all the same, without a caption
    found = engine.embed(seen, "micro", "anchored", fit=FEW)
    assert found.projection == "anchored"
    assert engine.embed(seen, "micro", "anchored", Blend(anchor="a red disc"), fit=FEW).projection == "anchored"
    with pytest.raises(SettingsError, match="2 pictures to measure the gap"):
        engine.measure_gap(seen)
    for nothing in (torch.zeros(2, 4), torch.full((1, 4), float("nan")), torch.empty(0, 4)):
        with pytest.raises(EmbeddingError, match="see them again"):
            Seen.of(nothing)


def test_what_is_learned_is_announced_first(engine, photographs, tmp_path):
    said = []

    class Heard(Progress):
        @contextmanager
        def task(self, label, total=None, unit=""):
            said.append((label, total, unit))
            with super().task(label, total, unit) as task:
                yield task

    with Engine(replace(engine.settings, cache=tmp_path), progress=Heard()) as other:
        other.embed(photographs[0], "micro", "ridge", fit=FEW)
        size = next((tmp_path / "embed").iterdir()).stat().st_size
    (first, total, _), (second, count, unit) = [each for each in said if each[0].startswith("Learning")]
    assert f"200 texts, {size / 1e6:.0f} MB" in first and "timing the first 64" in first and total is None
    assert re.search(r"about \d+ (s|minutes)$", second) and (count, unit) == (200, "texts")
