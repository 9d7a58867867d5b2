"""What the micro chat model is trained to say: every answer says all there is to see, in its style's grammar."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unrender.core.describe.style_grammar import accepts
from unrender.core.micro.answers import MOST_WORDS, answer, first_sentences, how_many, short_answer
from unrender.core.micro.captions import read
from unrender.core.micro.world import FACTORS, NO_ARTIST, Scene
from unrender.core.settings import WRITING_STYLES

scenes = st.builds(Scene, **{factor: st.sampled_from(values) for factor, values in FACTORS.items()})
seeds = st.integers(0, 2**31)


@pytest.mark.parametrize("style", WRITING_STYLES)
@given(scene=scenes, seed=seeds)
def test_an_answer_is_of_its_style_and_says_all(style, scene, seed):
    said = answer(scene, style, random.Random(seed))
    assert accepts(style, said)
    assert Scene(**{"artist": NO_ARTIST, **read(said)}) == scene


@given(scene=scenes, seed=seeds)
def test_words_are_few(scene, seed):
    assert len(answer(scene, "words", random.Random(seed)).split()) <= MOST_WORDS


@given(scene=scenes, seed=seeds, factor=st.sampled_from(list(FACTORS)))
def test_a_question_on_one_factor_is_answered_with_that_one(scene, seed, factor):
    named = read(short_answer(scene, factor, random.Random(seed)))
    assert named[factor] == scene.value(factor)
    assert all(value == scene.value(other) for other, value in named.items())


@given(scene=scenes, seed=seeds, count=st.integers(1, 6))
def test_sentences_are_as_many_as_asked_for(scene, seed, count):
    assert first_sentences(scene, count, random.Random(seed)).count(".") == count
    assert how_many(scene, random.Random(seed)) in ("One.", "Two.", "Three.")
