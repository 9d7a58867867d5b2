"""A prompt's words of one category, changed for others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unrender.core.phrases.swapping import swapped, with_words

MEDIUMS = ("oil painting", "a pencil sketch", "sketch", "an etching")
WORDS = st.lists(st.sampled_from(("cat", "tree", "red", "oil", "paint", "sketchy")), min_size=1, max_size=6)


def test_the_longest_known_phrase_goes_and_the_article_stays():
    assert swapped("a pencil sketch of a cat, moody", MEDIUMS, "an etching") == "an etching of a cat, moody"
    assert swapped("oil painting, a cat", MEDIUMS, "a mosaic") == "mosaic, a cat"


def test_every_known_phrase_goes_and_what_becomes_equal_is_kept_once():
    assert swapped("sketch, a cat, Oil Painting", MEDIUMS, "mosaic") == "mosaic, a cat"


def test_where_nothing_is_known_the_phrase_is_added():
    assert swapped("a cat", MEDIUMS, "a mosaic") == "a cat, a mosaic"
    assert swapped("", MEDIUMS, "a mosaic") == "a mosaic"
    assert swapped("a cat", (), "a mosaic") == "a cat, a mosaic"
    assert swapped("a cat", MEDIUMS, "a mosaic", append=False) == "a cat"


@given(WORDS)
def test_words_that_only_begin_alike_stay(words):
    prompt = " ".join(words)
    assert swapped(prompt, MEDIUMS, "mosaic", append=False) == prompt


@pytest.mark.parametrize(
    ("text", "words", "phrase", "expected"),
    [
        ("A Round Dot, a round dot", "round dot", "oval", "An oval, an oval"),
        ("reddish red", "red", "blue", "reddish blue"),
        ("an old (red) boat", "(red)", "blue", "an old blue boat"),
        ("a boat", "red", "blue", "a boat"),
        ("an oval", "oval", "\\1 ring", "a \\1 ring"),
    ],
)
def test_words_give_way_where_they_stand_whole(text, words, phrase, expected):
    assert with_words(text, words, phrase) == expected
