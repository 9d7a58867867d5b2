"""Thoughts, markdown and "The image shows" go; something always stays."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from unrender.core.cutting import finished
from unrender.core.describe.trimming import trimmed, without_thoughts
from unrender.core.describe.writing.drawing import once_only

PIECES = st.sampled_from(
    [
        *(
            "The image shows ",
            "This picture depicts ",
            "Here is a caption: ",
            "Sure! ",
            "In this image, ",
            "we can see ",
        ),
        *("Caption: ", "**", "*", "`", "# ", "- ", "1. ", "> ", "```", "\n", '"', "“", "”", " ", ".", ", ", "<think>"),
        *("</think>", "a cat", "A dog", "ß", "ﬁ", "[a](b)", "---", "this is an image of ", "there is ", "日本"),
    ]
)
TEXTS = st.one_of(st.text(), st.lists(PIECES, max_size=12).map("".join))


@given(TEXTS)
@example("**The image shows** ")
@example('"The image shows "')
@example("- - a\n- b")
def test_trimmed_stays_trimmed_and_is_never_empty(text: str) -> None:
    once = trimmed(text)
    assert trimmed(once) == once
    assert bool(once) == bool(text.strip())
    assert len(once) <= len(text)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("The image shows a red circle.", "A red circle."),
        ("the image shows a red circle", "a red circle"),
        ("This picture depicts two cats.", "Two cats."),
        ("The photograph features a house by the lake.", "A house by the lake."),
        ("Here is a caption: a quiet house", "A quiet house"),
        ("Here's a detailed description of the image:\n\nA quiet house.", "A quiet house."),
        ("Sure! Here is a caption for the image: The image shows a cat.", "A cat."),
        ("In this image, we can see a cat on a mat.", "A cat on a mat."),
        ("In the picture, a cat sits.", "A cat sits."),
        ("This is an image of a cat.", "A cat."),
        ("This is a painting of a cat.", "A painting of a cat."),
        ("A cat. The image also shows a dog.", "A cat. A dog."),
        ("**Caption:** A *red* `circle`", "A red circle"),
        ("# A house\n\nBy a lake.", "A house By a lake."),
        ("- 1girl\n- long hair\n- smile", "1girl, long hair, smile"),
        ("1. A cat sits.\n2. It sleeps.", "A cat sits. It sleeps."),
        ('"A cat sits."', "A cat sits."),
        ('A sign says "stop".', 'A sign says "stop".'),
        ("```\na cat\n```", "a cat"),
        ("A cat, 2 * 3 * 4, snake_case_name", "A cat, 2 * 3 * 4, snake_case_name"),
        ("The image shows", "The image shows"),
        ("The painting shows a horse.", "The painting shows a horse."),
        ("A picture frame hangs on a wall.", "A picture frame hangs on a wall."),
    ],
)
def test_what_is_trimmed(written: str, said: str) -> None:
    assert trimmed(written) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("<think>a\nb</think>c", "c"),
        ("a</think>c", "c"),
        ("<THINK>a</THINK> c <thinking>d</thinking>", "c"),
        ("c <think>d", "c"),
        ("<think>d", ""),
        ("a < b > c", "a < b > c"),
    ],
)
def test_thoughts_are_left_out(written: str, said: str) -> None:
    assert without_thoughts(written) == said


@given(TEXTS)
def test_no_thought_remains(text: str) -> None:
    left = without_thoughts(text)
    assert without_thoughts(left) == left and "<think>" not in left.lower()


# --- what broke off, what repeats ---


@given(st.text(alphabet="ab.,!? \n日。", max_size=60))
def test_what_is_whole_is_a_beginning(text: str) -> None:
    kept = finished(text)
    assert text.startswith(kept)
    assert bool(kept) == bool(text.strip())


@given(
    st.lists(st.integers(0, 3), max_size=30), st.lists(st.integers(0, 3), min_size=1, max_size=8), st.integers(1, 40)
)
def test_what_repeats_is_said_once(start: list[int], part: list[int], times: int) -> None:
    tokens = [*start, *part * times]
    kept = once_only(tokens)
    assert list(kept) == tokens[: len(kept)]
    if times * len(part) >= 24 and times >= 4:
        assert len(kept) <= len(start) + len(part)
    assert once_only(kept) == kept


def test_a_text_of_few_repetitions_is_as_it_was() -> None:
    for tokens in ([1] * 23, list(range(50)), [1, 2, 3] * 7, list(range(20)) * 3, []):
        assert once_only(tokens) == tokens
