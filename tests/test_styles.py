"""What each style asks for, and the grammar that tells whether a text is that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unrender.core.describe.style_grammar import MOST_TAGS, accepts, sentences
from unrender.core.describe.styles import STYLES
from unrender.core.settings import WRITING_STYLES

PARAGRAPH = (
    "A woman in a red coat stands on a pier. Behind her lies a grey sea under low clouds. The light is soft and comes "
    "from the left. It is a photograph with a shallow depth of field."
)
GOOD = {
    "words": ("a red boat on a lake", "two dogs", "portrait of a man with a hat"),
    "tags": ("1girl, solo, long hair, red coat, pier, sea", "boat, lake", "hatsune miku (vocaloid), twintails"),
    "sentence": (
        "A red boat lies on a lake at dawn.",
        "Mr. Smith of St. Ives holds a 3.5 mm lens, e.g. for portraits.",
        'A sign says "Stop!" in white letters.',
        "Two cats, one black and one white, sleep on a sofa.",
        "J. R. Smith and a dog cross a street.",
    ),
    "paragraph": (PARAGRAPH,),
    "training": ("A woman in a red coat stands on a pier. The sea is grey.", "Two dogs lie on a brown sofa."),
    "keywords": ("red boat, oil on canvas, impressionism, soft morning light, blue and orange", "boat, dawn"),
}
BAD = {
    "words": ("A boat lies on a lake.", "boat, lake, dawn", "a " * 17, "a boat!", "boat: red"),
    "tags": (
        "boat",
        "a boat, lake",
        "boat, boat",
        "boat, , lake",
        "boat, lake.",
        "boat, a very long tag that is none",
        ", ".join(f"tag{number}" for number in range(MOST_TAGS + 1)),
        "Tags: boat, lake",
        "- boat\n- lake",
    ),
    "sentence": (
        "A red boat lies on a lake",
        "A boat. A lake.",
        "A red boat lies on a lake. It is dawn, and the",
        "a red boat lies on a lake.",
        "A boat.",
        "Sure! A red boat lies on a lake.",
        "**A red boat** lies on a lake.",
        "A red boat lies on a lake.\nIt is dawn over there.",
        "<think>hm</think> A red boat lies on a lake.",
    ),
    "paragraph": (
        "A red boat lies on a lake.",
        PARAGRAPH.replace(". ", ".\n\n"),
        PARAGRAPH[:-1],
        PARAGRAPH + " And then it is cut",
        "- " + PARAGRAPH,
    ),
    "training": (
        "The image shows two dogs on a sofa.",
        "In this picture two dogs lie on a sofa.",
        "This black and white photo depicts two dogs.",
        "Two beautiful dogs lie on a sofa.",
        "A dog lies on what appears to be a sofa.",
        "Two dogs can be seen on a sofa.",
        "two dogs on a sofa",
        "A dog lies on a sofa. " * 5,
    ),
    "keywords": ("boat", "A red boat lies on a lake.", "boat, boat", "boat, one keyword that has far too many words"),
}


def test_every_style_has_what_it_asks_for():
    assert set(STYLES) == set(WRITING_STYLES) == set(GOOD) == set(BAD)
    for ask in STYLES.values():
        assert ask.instruction.endswith(".") and len(ask.instruction.split()) < 90
        assert ask.task.startswith("<") and ask.task.endswith(">") and ask.task.upper() == ask.task
    assert STYLES["words"].tokens < STYLES["sentence"].tokens < STYLES["training"].tokens < STYLES["paragraph"].tokens


@pytest.mark.parametrize(("style", "text"), [(style, text) for style, texts in GOOD.items() for text in texts])
def test_what_is_of_a_style_is_accepted(style, text):
    assert accepts(style, text)


@pytest.mark.parametrize(("style", "text"), [(style, text) for style, texts in BAD.items() for text in texts])
def test_what_is_not_is_refused(style, text):
    assert not accepts(style, text)


def test_styles_are_told_apart():
    """No grammar takes what is said in another form: words, lists, one sentence, several."""
    forms = {"words": {"words"}, "tags": {"tags", "keywords"}, "keywords": {"tags", "keywords"}}
    forms |= {"sentence": {"sentence", "training"}, "paragraph": {"paragraph", "training"}}
    forms["training"] = {"sentence", "training"}
    for style, texts in GOOD.items():
        for text in texts:
            assert {other for other in WRITING_STYLES if accepts(other, text)} <= forms[style], (style, text)


@given(st.text())
def test_any_text_is_judged(text):
    for style in WRITING_STYLES:
        assert isinstance(accepts(style, text), bool)


_WORD = st.text("abcdefghij", min_size=3, max_size=8)
_SENTENCE = st.lists(_WORD, min_size=4, max_size=12).map(lambda words: " ".join(words).capitalize() + ".")


@given(st.lists(_SENTENCE, min_size=1, max_size=8))
def test_sentences_are_counted(written):
    text = " ".join(written)
    found = sentences(text)
    assert found == written
    assert sentences(text[:-1]) is None
    assert accepts("sentence", text) == (len(written) == 1)
    assert accepts("paragraph", text) == (len(written) >= 3)
