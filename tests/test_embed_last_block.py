"""A text encoder without its last block, as diffusers and Forge have Stable Diffusion 2's: what takes a layer before it
is as with it, and what a text's end becomes goes through the block of the CLIP that the encoder was taken from."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from unrender.core.clip.layers import SECOND_TO_LAST_NORMED
from unrender.core.embed.blend import Blend, checked_way
from unrender.core.embed.embedder import Embedder
from unrender.core.embed.families import MICRO_FAMILY
from unrender.core.embed.soft.knowledge import Knowledge
from unrender.core.embed.text_side import TextSide
from unrender.core.micro.pictures import render

pytest_plugins = ["embed_fixtures"]

ENCODER = replace(MICRO_FAMILY.encoders[0], layer=SECOND_TO_LAST_NORMED, blocks=4)
FAMILY = replace(MICRO_FAMILY, encoders=(ENCODER,))


@pytest.fixture(scope="module")
def knowledge(engine, tmp_path_factory):
    engine.text_features(["micro"])
    folder = tmp_path_factory.mktemp("cache")
    return Knowledge(engine.clip, engine.evidence, engine.read_vocabulary, folder)


def embedder(knowledge, side, family=FAMILY):
    clip = knowledge.clip
    made = (clip, family, {"micro": side}, lambda: None, knowledge.folder)
    return Embedder(*made, text_projection=clip.text.weights.projection, knowledge=knowledge)


@pytest.fixture(scope="module")
def whole(knowledge):
    return TextSide.of(knowledge.clip)


def without_the_last(side):
    weights = replace(side.weights, blocks=side.weights.blocks[:-1], projection=None)
    return replace(side, weights=weights, known_fingerprint="")


def test_a_text_is_the_same(knowledge, whole):
    expected = embedder(knowledge, whole).text("a red circle")
    found = embedder(knowledge, without_the_last(whole)).text("a red circle")
    assert torch.equal(found.states, expected.states) and torch.allclose(found.pooled, expected.pooled, atol=1e-6)


def test_a_soft_prompt_is_the_same(knowledge, whole, engine):
    joint = engine.picture_features([render("test", 1).pixels[0].permute(1, 2, 0).numpy()])[0]

    def soft(side):
        way = checked_way(FAMILY, "soft", None)
        return embedder(knowledge, side).embed(joint[None], ["a"], way, Blend(anchor="a circle"))

    expected, found = soft(whole), soft(without_the_last(whole))
    assert torch.allclose(found.states, expected.states, atol=1e-4)
    assert torch.allclose(found.pooled, expected.pooled, atol=1e-4)


def test_it_is_known_as_what_it_is(knowledge, whole):
    """Whichever CLIP sees the pictures: an embedding is of the encoder that a host has."""
    side = without_the_last(whole)
    assert embedder(knowledge, side).fingerprint == side.fingerprint != whole.fingerprint


def test_beside_another_clip_the_layers_are_counted_all_the_same(knowledge, whole):
    shorter = without_the_last(replace(whole, weights=replace(whole.weights, blocks=whole.weights.blocks[:3])))
    made = embedder(knowledge, shorter, replace(FAMILY, encoders=(replace(ENCODER, blocks=3),)))
    (expected,), _ = shorter.states(["a star"])
    assert torch.allclose(made.text("a star").states, expected[0], atol=1e-6)
