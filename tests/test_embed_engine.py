"""Pictures to embeddings through the engine, on the micro model, and through encoders of the real families' shapes."""

from __future__ import annotations

import copy
import gc
import re
import sys
import weakref
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_towers import Words, random_weights
from unrender.core.clip import Clip
from unrender.core.clip.hidden_states import hidden_states
from unrender.core.clip.layers import LAST, SECOND_TO_LAST
from unrender.core.clip.weights import TowerWeights, map_tensors
from unrender.core.embed import PromptEmbedding
from unrender.core.embed import embedder as embedder_module
from unrender.core.embed import projection as projection_module
from unrender.core.embed.embedder import Blend, Embedder, own_side
from unrender.core.embed.families import SD1, SD2, SDXL
from unrender.core.embed.gap import GapCorrection, shipped_gap
from unrender.core.embed.projection import ClosedForms
from unrender.core.embed.prompts import composed_prompts
from unrender.core.embed.ridge import RidgeFit, fit_maps
from unrender.core.embed.seen import Seen
from unrender.core.embed.text_side import TextSide, sampled_fingerprint
from unrender.core.engine import Engine, Settings
from unrender.core.errors import EmbeddingError, ModelError, SettingsError
from unrender.core.images import image_key, open_image
from unrender.core.micro import PHRASES_FOLDER
from unrender.core.phrases.vocabulary import load_vocabulary
from unrender.core.progress import Progress

FEW = RidgeFit(200)


@pytest.fixture(autouse=True)
def _quick_norms(monkeypatch):
    monkeypatch.setattr(embedder_module, "_PROMPTS_FOR_NORMS", 8)


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    settings = Settings(clip="micro", captioner=None, device="cpu", precision="exact")
    with Engine(replace(settings, cache=tmp_path_factory.mktemp("embed"))) as engine:
        yield engine


class TestMicro:
    def test_pinv_is_the_start_and_one_state(self, engine, photographs):
        made = engine.embed(photographs[0], "micro")
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
        picture = engine.embed(photographs[0], "micro")
        found = engine.embed(photographs[0], "micro", blend=Blend(text="a red star", alpha=0.5))
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
        found = engine.embed(photographs[0], "micro", blend=Blend(text="a red star, " * 40))
        assert len(found.states) > 77 and len(found.states) % 77 == 0

    def test_several_pictures(self, engine, photographs):
        one, two = (engine.embed(each, "micro").states for each in photographs[:2])
        both = engine.embed(photographs[:2], "micro", blend=Blend(weights=[1, 3]))
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
        engine.embed(torch.zeros(64, 64, 3).numpy(), "micro")
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
        with pytest.raises(SettingsError, match="choose pinv, ridge, bank or anchored"):
            engine.embed(photographs[0], "micro", "magic")
        with pytest.raises(SettingsError, match=r"pinv cannot reach what Stable Diffusion 2"):
            engine.embed(photographs[0], "sd2", "pinv")
        with pytest.raises(SettingsError, match="only a pooled vector"):
            engine.embed(photographs[0], "flux")
        with pytest.raises(ModelError, match="768 wide, but this one is 128 wide"):
            engine.embed(photographs[0], "sd15")
        with pytest.raises(SettingsError, match="give less than 1 as strength"):
            engine.embed(photographs[0], "micro", "ridge", Blend(text="a red star"), fit=FEW)
        with pytest.raises(EmbeddingError, match="different lengths"):
            engine.embed(photographs[0], "micro", "ridge", Blend(text="a red star, " * 40, strength=0.5), fit=FEW)
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
    with pytest.raises(SettingsError, match="anchored needs a prompt"):
        engine.embed(seen, "micro", "anchored", fit=FEW)
    assert engine.embed(seen, "micro", "anchored", Blend(anchor="a red disc"), fit=FEW).projection == "anchored"
    with pytest.raises(SettingsError, match="2 pictures to measure the gap"):
        engine.measure_gap(seen)
    for nothing in (torch.zeros(2, 4), torch.full((1, 4), float("nan")), torch.empty(0, 4)):
        with pytest.raises(EmbeddingError, match="see them again"):
            Seen.of(nothing)


class StandIn:
    """The part of a CLIP that an embedder uses, around a small random tower."""

    text = None

    def __init__(self, weights):
        self.weights, self.fingerprint = weights, weights.fingerprint()

    def encode_texts(self, texts):
        ids = [(Words.start_of_text, *Words().encode(text)[:75], Words.end_of_text) for text in texts]
        ends = torch.stack([hidden_states(self.weights, torch.tensor([row]))[0][0, -1] for row in ids])
        return torch.nn.functional.normalize(ends @ self.weights.projection.T, dim=-1)


def embedder(family, sides, clip, folder, **more):
    vocabulary = load_vocabulary(None, PHRASES_FOLDER)
    return Embedder(clip, family, sides, lambda: vocabulary, folder, fit=RidgeFit(16, rank=8), **more)


class TestBank:
    def test_is_the_weighted_mean_of_the_nearest_prompts_states(self, engine, photographs, tmp_path):
        """Written out over all prompts, in float64, with the whole bank's states in memory."""
        engine.embed(photographs[0], "micro", "bank", fit=FEW)
        clip, prompts = engine.clip, composed_prompts(load_vocabulary(None, PHRASES_FOLDER), FEW.prompts)
        x, y = clip.encode_texts(prompts).double(), TextSide.of(clip).states(prompts)[0][0].double()
        gap = shipped_gap("micro")
        picture = clip.encode_images(photographs[:1])[0].double() - gap.centre.double()
        away = x - x.mean(0)
        cosines = torch.nn.functional.cosine_similarity(away, picture[None])
        nearest = sorted(range(len(prompts)), key=lambda row: -float(cosines[row]))[:64]
        weights = torch.softmax(cosines[nearest] / 0.1, dim=0)
        expected = (weights[:, None, None] * y[nearest]).sum(0)
        found = engine.embed(photographs[0], "micro", "bank", Blend(temperature=0.1), fit=FEW)
        assert (found.states - expected).abs().max() < 5e-3
        assert found.projection == "bank" and found.gap_corrected

    def test_reads_no_more_than_the_neighbours(self, engine, photographs, monkeypatch):
        import safetensors

        engine.embed(photographs[0], "micro", "bank", fit=FEW)
        read, real = [], safetensors.safe_open

        class Watched:
            def __init__(self, *arguments, **names):
                self._file = real(*arguments, **names)

            def __enter__(self):
                self._file.__enter__()
                return self

            def __exit__(self, *error):
                self._file.__exit__(*error)

            def metadata(self):
                return self._file.metadata()

            def get_tensor(self, name):
                return self._file.get_tensor(name)

            def get_slice(self, name):
                whole = self._file.get_slice(name)
                return type("Rows", (), {"__getitem__": lambda _, rows: read.append(rows) or whole[rows]})()

        monkeypatch.setattr(safetensors, "safe_open", Watched)
        engine.embed(photographs[1], "micro", "bank", fit=FEW)
        assert len(read) == 64 and all(rows.stop - rows.start == 1 for rows in read)

    def test_a_cold_bank_gives_the_nearest_prompts_states(self, engine, photographs):
        prompts = composed_prompts(load_vocabulary(None, PHRASES_FOLDER), FEW.prompts)
        found = engine.embed(photographs[0], "micro", "bank", Blend(temperature=1e-5), fit=FEW).states
        states = TextSide.of(engine.clip).states(prompts)[0][0]
        assert float((states - found).abs().amax(dim=(1, 2)).min()) < 1e-2

    def test_a_damaged_file_is_made_anew(self, engine, photographs):
        made = engine.embed(photographs[0], "micro", "bank", fit=FEW)
        for path in Path(engine.settings.cache, "embed").glob("bank-*"):
            path.write_bytes(path.read_bytes()[:1000])
        engine.unload()
        assert torch.equal(engine.embed(photographs[0], "micro", "bank", fit=FEW).states, made.states)

    def test_a_folder_that_cannot_be_written(self, engine, photographs, tmp_path):
        (tmp_path / "embed").write_text("")
        refused = pytest.raises(ModelError, match=r"bank of 200 prompts takes 4 MB and cannot be kept")
        with Engine(replace(engine.settings, cache=tmp_path)) as other, refused:
            other.embed(photographs[0], "micro", "bank", fit=FEW)


class TestAnchored:
    def test_is_the_prompt_and_what_the_map_sees_beyond_it(self, engine, photographs):
        anchor, edit = "a red star", "a blue star"
        h = {text: engine.embed_text(text, "micro").states for text in (anchor, edit)}
        seen = engine.embed(photographs[0], "micro", "ridge", fit=FEW).states
        map_of_texts = engine._models.embedder("micro", FEW, None, None)._maps["micro"]
        said = map_of_texts.states(engine.clip.encode_texts([anchor])[0])
        plain = engine.embed(photographs[0], "micro", "anchored", Blend(anchor=anchor, correction=1), fit=FEW)
        assert torch.allclose(plain.states, h[anchor] + seen - said, atol=1e-4) and plain.gap_corrected
        half = Blend(anchor=anchor, text=edit, correction=0.5)
        found = engine.embed(photographs[0], "micro", "anchored", half, fit=FEW).states
        assert torch.allclose(found, h[edit] + 0.5 * (seen - said), atol=1e-4)
        none = Blend(anchor=anchor, correction=0)
        assert torch.allclose(engine.embed(photographs[0], "micro", "anchored", none, fit=FEW).states, h[anchor])

    def test_anchored_swaps_a_categorys_phrase(self, engine, photographs):
        anchor, text = "an oil painting of a red star", "a mosaic of a red star"
        swap = Blend(anchor=anchor, swaps={"mediums": "a mosaic"})
        found = engine.embed(photographs[0], "micro", "anchored", swap, fit=FEW)
        wanted = engine.embed(photographs[0], "micro", "anchored", Blend(anchor=anchor, text=text), fit=FEW)
        assert torch.equal(found.states, wanted.states)
        with pytest.raises(SettingsError, match=r"choose one of .*mediums"):
            engine.embed(photographs[0], "micro", "anchored", Blend(anchor=anchor, swaps={"none": "x"}), fit=FEW)
        with pytest.raises(SettingsError, match="only the projection anchored"):
            engine.embed(photographs[0], "micro", "pinv", swap)

    def test_without_an_anchor_the_picture_is_interrogated(self, engine, photographs):
        prompts = [engine.interrogate(photo, "fast").prompt for photo in photographs[:2]]
        both = engine.embed(photographs[:2], "micro", "anchored", fit=FEW).states
        each = [
            engine.embed(photo, "micro", "anchored", Blend(anchor=prompt), fit=FEW).states
            for photo, prompt in zip(photographs[:2], prompts, strict=True)
        ]
        assert torch.allclose(both, (each[0] + each[1]) / 2, atol=1e-5)

    def test_a_long_edit(self, engine, photographs):
        found = engine.embed(photographs[0], "micro", "anchored", Blend(anchor="", text="a red star, " * 40), fit=FEW)
        assert len(found.states) > 77 and len(found.states) % 77 == 0


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


class TestLentEncoders:
    """A checkpoint's own text encoders, as a host lends them."""

    def test_other_weights_give_other_embeddings_and_the_same_none_twice(self, engine, photographs, monkeypatch):
        plain = engine.embed(photographs[0], "micro")
        own = TextSide.of(engine.clip)
        tuned = replace(own.weights, embedding=own.weights.embedding * 1.1)
        monkeypatch.setattr(TowerWeights, "fingerprint", lambda _: pytest.fail("all weights were read"))
        lent = {"micro": TextSide(tuned, own.tokenizer)}
        first, again = (engine.embed(photographs[0], "micro", encoders=lent) for _ in range(2))
        assert torch.equal(first.states, again.states) and first.fingerprint != plain.fingerprint
        assert not torch.equal(first.states, plain.states)
        assert torch.equal(engine.embed(photographs[0], "micro").states, plain.states)

    def test_weights_patched_in_place_are_seen(self, engine, photographs):
        own = TextSide.of(engine.clip)
        weights = map_tensors(own.weights, torch.Tensor.clone)
        lent = {"micro": TextSide(weights, own.tokenizer)}
        before = engine.embed(photographs[0], "micro", "ridge", fit=FEW, encoders=lent)
        weights.blocks[2].up.data += 0.05 * torch.randn(weights.blocks[2].up.shape)  # unseen by torch's own counters
        after = engine.embed(photographs[0], "micro", "ridge", fit=FEW, encoders=lent)
        assert after.fingerprint != before.fingerprint and not torch.equal(after.states, before.states)

    def test_every_kind_of_change_is_seen(self, engine):
        own = TextSide.of(engine.clip).weights
        plain = sampled_fingerprint(own)
        assert sampled_fingerprint(map_tensors(own, torch.Tensor.clone)) == plain
        stored = own.to("cpu", torch.float16)
        assert sampled_fingerprint(stored) == sampled_fingerprint(stored.to("cpu", torch.float32))
        found = {plain}

        def change(weights, tensor, where):
            before = tensor.clone()
            tensor[where] += 0.01
            found.add(sampled_fingerprint(weights))
            tensor.copy_(before)

        weights = map_tensors(own, torch.Tensor.clone)
        block = weights.blocks[1]
        row, column = torch.tensor([5]), torch.tensor([7])
        for tensor in (block.qkv, block.out, block.up, block.down, weights.embedding, weights.positions):
            change(weights, tensor, row)  # such as one token's embedding
            change(weights, tensor, (slice(None), column))
        change(weights, block.norm_1[0], row)
        change(weights, block.up_bias, row)
        assert len(found) == 15 and sampled_fingerprint(weights) == plain

    def test_the_closed_form_is_made_once_for_all_engines_that_share_it(self, engine, photographs, monkeypatch):
        forms = ClosedForms()
        own = TextSide.of(engine.clip)
        weights = map_tensors(own.weights, torch.Tensor.clone)
        lent = {"micro": TextSide(weights, own.tokenizer)}
        expected = engine.embed(photographs[0], "micro", encoders=lent)

        def embedded(**more):
            with Engine(engine.settings, load_clip=lambda _: engine.clip, closed_forms=forms) as other:
                return other.embed(photographs[0], "micro", encoders=lent, **more)

        assert torch.equal(embedded().states, expected.states)
        with monkeypatch.context() as patched:
            patched.setattr(projection_module, "closed_form", lambda *_: pytest.fail("made again"))
            assert torch.equal(embedded().states, expected.states)
        assert not torch.equal(embedded(text_projection=own_projection(engine).flip(0)).states, expected.states)
        weights.blocks[2].up.mul_(1.5)  # as a LoRA does, in place
        changed = embedded()
        assert torch.equal(changed.states, engine.embed(photographs[0], "micro", encoders=lent).states)
        assert not torch.equal(changed.states, expected.states)

    def test_what_a_checkpoint_holds_as_projection_is_not_used(self, engine, photographs):
        own = TextSide.of(engine.clip)
        for projection in (None, torch.zeros(128, 128), own.weights.projection * 1.5):
            lent = {"micro": TextSide(replace(own.weights, projection=projection), own.tokenizer)}
            found = engine.embed(photographs[0], "micro", encoders=lent).states
            assert torch.allclose(found, engine.embed(photographs[0], "micro").states, atol=1e-5)

    def test_another_projection_is_used(self, engine, photographs):
        plain = engine.embed(photographs[0], "micro").states
        turned = own_projection(engine).flip(0)
        assert not torch.allclose(engine.embed(photographs[0], "micro", text_projection=turned).states, plain, atol=0.1)
        for wrong, says in ((turned * 0, "zeros or garbage"), (turned * float("nan"), "NaN"), (turned[:, 1:], "shape")):
            with pytest.raises(ModelError, match=says):
                engine.embed(photographs[0], "micro", text_projection=wrong)

    def test_a_text_alone(self, engine):
        made = engine.embed_text("a red star", "micro")
        assert made.projection == "text" and torch.equal(
            made.states, TextSide.of(engine.clip).states(["a red star"])[0][0][0]
        )


def renamed(clip):
    """The same CLIP, of which no statistic is known."""
    other = copy.copy(clip)
    other.name = "another"
    return other


def own_projection(engine):
    return TextSide.of(engine.clip).weights.projection


def test_a_host_lends_its_models_and_is_asked_again_after_unload(engine, photographs):
    asked = []

    def lend(progress):
        asked.append(progress)
        return engine.clip

    with Engine(engine.settings, load_clip=lend) as lent:
        for _ in range(2):
            assert torch.equal(lent.embed(photographs[0], "micro").states, engine.embed(photographs[0], "micro").states)
        assert len(asked) == 1
        lent.unload()
        lent.embed(photographs[0], "micro")
    assert len(asked) == 2 and asked[0] is lent.progress


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
        assert made.embed(clip.encode_texts(["boat"]), ["key"]).states.shape == (77, 1024)

    def test_sdxl_both_encoders_from_the_seconds_joint_space(self, tmp_path):
        small, large = random_weights(768, 768, 2, 12, quick_gelu=True), random_weights(1280, 1280, 2, 20)
        clip = StandIn(large)
        sides = {"clip_l": TextSide(small, Words()), "clip_g": TextSide(large, Words())}
        made = embedder(SDXL, sides, clip, tmp_path)
        features = clip.encode_texts(["boat", "cat"])
        found = made.embed(features, ["a", "b"])
        assert found.states.shape == (77, 2048) and found.pooled.shape == (1280,) and found.picture == "a+b"
        one = made.embed(features[:1], ["a"])
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
        assert made.embed(pictures[:1], ["a"], gap=gap).gap_corrected

    def test_lengths_are_measured_once_for_an_encoder_as_it_is(self, monkeypatch):
        """A host's engines, one for each picture, share what is measured, which takes longer than a picture."""
        true, measured = TextSide.mean_norms, []

        def counted(side, prompts):
            measured.append(side)
            return true(side, prompts)

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
            embedder(SD1, sides, clip, tmp_path).embed(features, ["key"])
        found = embedder(SD1, sides, clip, tmp_path, text_projection=whole.projection).embed(features, ["key"])
        assert found.states.shape == (77, 768)
        found = embedder(SD1, sides, clip, tmp_path).embed(features, ["key"], "ridge")
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


def test_nothing_of_a_lent_clip_stays_behind(engine, photographs, monkeypatch):
    """At once, without looking for circles among all of a host's objects."""
    monkeypatch.setattr(gc, "collect", lambda *_: pytest.fail("all objects were looked through"))
    seen = []

    def lend(_progress):
        clip = renamed(engine.clip)
        seen.append(weakref.ref(clip))
        return clip

    with Engine(engine.settings, load_clip=lend) as other:
        other.embed(photographs[0], "micro")
        other.embed(photographs[0], "micro", "ridge", fit=FEW)
    assert len(seen) == 1 and seen[0]() is None
