"""Phrases as people and chips type them into a field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unrender.core.phrases import phrases_in


@pytest.mark.parametrize(
    ("text", "phrases"),
    [
        ("red, by night", ["red", "by night"]),
        (" red ,\n,by night,\r\nfog", ["red", "by night", "fog"]),
        ('"red, as it were", fog', ["red, as it were", "fog"]),
        ('fog,"a ""good"", old boat"', ["fog", 'a "good", old boat']),
        ('a sign "stop", fog', ['a sign "stop"', "fog"]),
        ('"stop" on a sign, fog', ['"stop" on a sign', "fog"]),
        ('"red, fog', ['"red', "fog"]),
        ('"red\nfog"', ['"red', 'fog"']),
        ("", []),
        (' , "" ,', []),
    ],
)
def test_a_field_holds_phrases(text, phrases):
    assert phrases_in(text) == phrases


@given(st.lists(st.text(st.characters(exclude_categories=("Cc", "Zl", "Zp", "Cs")), min_size=1), max_size=5))
def test_whatever_is_in_a_phrase_can_be_typed(phrases):
    text = ", ".join('"' + phrase.replace('"', '""') + '"' for phrase in phrases)
    assert phrases_in(text) == [phrase.strip() for phrase in phrases if phrase.strip()]
