"""The text encoder's short ways, against the library's tokenizer."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from open_clip.tokenizer import SimpleTokenizer

PARTS = [
    "a cat",
    "by José",
    "wow!",
    "&amp;",
    "&lt",
    "ﬁne",
    "",
    " spaced ",
    "...",
    "it's",
    "4k",
    "x,y",
    "naïve — art",
    "é" * 90,
]

TOKENIZER = SimpleTokenizer()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=12), min_size=1, max_size=8), st.booleans())
def test_a_text_of_known_phrases_has_the_tokens_of_the_whole(clip, parts, known):
    if known:
        for part in parts:
            clip.text.ids(part)
    text = ", ".join(parts)
    for _ in range(2):
        assert clip.text.length(text) == len(TOKENIZER.encode(text)) + 2
    plain = clip.text.tokenizer.encode
    assert torch.equal(clip.text.encode([text, "a"]), clip.text._exact.texts([plain(text), plain("a")]))


@pytest.mark.parametrize("count", [1, 3])
def test_captions_leave_nothing_behind(clip, count):
    for phrase in ("a cat", "fog"):
        clip.text.ids(phrase)
    clip.text.encode(["a cat, fog, x"] * count)
    before = len(clip.text._known_ids), len(clip.text._known_joins)
    for number in range(20):
        clip.text.encode([f"caption {number} é, a cat, fog, end {number}"] * count)
    assert (len(clip.text._known_ids), len(clip.text._known_joins)) == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(st.lists(st.lists(st.sampled_from(PARTS), min_size=1, max_size=3), min_size=2, max_size=4))
def test_texts_that_begin_alike_or_not_have_the_tokens_of_the_whole(clip, beginnings):
    for parts in (*beginnings, *beginnings[::-1]):
        for last in PARTS[:6]:
            text = ", ".join((*parts, last))
            assert clip.text.length(text) == len(TOKENIZER.encode(text)) + 2


def test_what_texts_begin_with_is_tokenized_once(clip, monkeypatch):
    encode, asked = clip.text.tokenizer.encode, []
    monkeypatch.setattr(clip.text.tokenizer, "encode", lambda text: asked.append(text) or encode(text))
    for number in range(5):
        clip.text.length(f"a long caption of something, at night, number {number}")
    assert asked.count("a long caption of something,") == 1
