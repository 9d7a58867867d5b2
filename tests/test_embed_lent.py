"""Encoders and CLIPs that a host lends: their weights change under our hands, and nothing of them stays."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import pytest
import torch
from embed_settings import FEW, renamed
from unrender.core.clip.weights import TowerWeights, map_tensors
from unrender.core.embed import projection as projection_module
from unrender.core.embed.projection import ClosedForms
from unrender.core.embed.text_side import TextSide, sampled_fingerprint
from unrender.core.engine import Engine
from unrender.core.errors import ModelError

pytest_plugins = ["embed_fixtures"]
pytestmark = pytest.mark.usefixtures("quick_norms")


class TestLentEncoders:
    """A checkpoint's own text encoders, as a host lends them."""

    def test_other_weights_give_other_embeddings_and_the_same_none_twice(self, engine, photographs, monkeypatch):
        plain = engine.embed(photographs[0], "micro", "pinv")
        own = TextSide.of(engine.clip)
        tuned = replace(own.weights, embedding=own.weights.embedding * 1.1)
        monkeypatch.setattr(TowerWeights, "fingerprint", lambda _: pytest.fail("all weights were read"))
        lent = {"micro": TextSide(tuned, own.tokenizer)}
        first, again = (engine.embed(photographs[0], "micro", "pinv", encoders=lent) for _ in range(2))
        assert torch.equal(first.states, again.states) and first.fingerprint != plain.fingerprint
        assert not torch.equal(first.states, plain.states)
        assert torch.equal(engine.embed(photographs[0], "micro", "pinv").states, plain.states)

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
        expected = engine.embed(photographs[0], "micro", "pinv", encoders=lent)

        def embedded(**more):
            with Engine(engine.settings, load_clip=lambda _: engine.clip, closed_forms=forms) as other:
                return other.embed(photographs[0], "micro", "pinv", encoders=lent, **more)

        assert torch.equal(embedded().states, expected.states)
        with monkeypatch.context() as patched:
            patched.setattr(projection_module, "closed_form", lambda *_: pytest.fail("made again"))
            assert torch.equal(embedded().states, expected.states)
        assert not torch.equal(embedded(text_projection=own_projection(engine).flip(0)).states, expected.states)
        weights.blocks[2].up.mul_(1.5)  # as a LoRA does, in place
        changed = embedded()
        assert torch.equal(changed.states, engine.embed(photographs[0], "micro", "pinv", encoders=lent).states)
        assert not torch.equal(changed.states, expected.states)

    def test_what_a_checkpoint_holds_as_projection_is_not_used(self, engine, photographs):
        own = TextSide.of(engine.clip)
        for projection in (None, torch.zeros(128, 128), own.weights.projection * 1.5):
            lent = {"micro": TextSide(replace(own.weights, projection=projection), own.tokenizer)}
            found = engine.embed(photographs[0], "micro", "pinv", encoders=lent).states
            assert torch.allclose(found, engine.embed(photographs[0], "micro", "pinv").states, atol=1e-5)

    def test_another_projection_is_used(self, engine, photographs):
        plain = engine.embed(photographs[0], "micro", "pinv").states
        turned = own_projection(engine).flip(0)
        assert not torch.allclose(
            engine.embed(photographs[0], "micro", "pinv", text_projection=turned).states, plain, atol=0.1
        )
        for wrong, says in ((turned * 0, "zeros or garbage"), (turned * float("nan"), "NaN"), (turned[:, 1:], "shape")):
            with pytest.raises(ModelError, match=says):
                engine.embed(photographs[0], "micro", "pinv", text_projection=wrong)

    def test_a_text_alone(self, engine):
        made = engine.embed_text("a red star", "micro")
        assert made.projection == "text" and torch.equal(
            made.states, TextSide.of(engine.clip).states(["a red star"])[0][0][0]
        )


def own_projection(engine):
    return TextSide.of(engine.clip).weights.projection


def test_a_host_lends_its_models_and_is_asked_again_after_unload(engine, photographs):
    asked = []

    def lend(progress):
        asked.append(progress)
        return engine.clip

    with Engine(engine.settings, load_clip=lend) as lent:
        for _ in range(2):
            assert torch.equal(
                lent.embed(photographs[0], "micro", "pinv").states, engine.embed(photographs[0], "micro", "pinv").states
            )
        assert len(asked) == 1
        lent.unload()
        lent.embed(photographs[0], "micro", "pinv")
    assert len(asked) == 2 and asked[0] is lent.progress


def test_nothing_of_a_lent_clip_stays_behind(engine, photographs, monkeypatch):
    """At once, without looking for circles among all of a host's objects."""
    monkeypatch.setattr(gc, "collect", lambda *_: pytest.fail("all objects were looked through"))
    seen = []

    def lend(_progress):
        clip = renamed(engine.clip)
        seen.append(weakref.ref(clip))
        return clip

    with Engine(engine.settings, load_clip=lend) as other:
        other.embed(photographs[0], "micro", "pinv")
        other.embed(photographs[0], "micro", "ridge", fit=FEW)
        other.embed(photographs[0], "micro", "soft")
    assert len(seen) == 1 and seen[0]() is None
