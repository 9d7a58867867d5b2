"""Captions that are too long: cut where a reader would, in every mode, so that a prompt keeps its limit."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from unrender.core.cutting import cut
from unrender.core.errors import SettingsError
from unrender.core.phrases.table import PhraseTable
from unrender.core.phrases.vocabulary import Category, Vocabulary
from unrender.core.progress import SILENT
from unrender.core.prompt.framing import framed
from unrender.core.prompt.interrogate import Interrogator, Subject
from unrender.core.settings import MODES, Settings

WORDS = {
    "artists": ("by Ada", "by Bo"),
    "flavors": ("red", "blue", "fog", "neon", "85mm", "bokeh", "grain", "very highly detailed", "rain", "snow", "dust"),
    "mediums": ("a photo", "an etching"),
    "negative": ("blurry", "lowres"),
}
CAPTIONED = [mode for mode in MODES if mode != "negative"]
LONG = "a cat on a mat with a hat " * 60


def words(count: int, after: str = "") -> str:
    return " ".join(["cat"] * count) + after


@pytest.fixture(scope="module")
def run(clip, tmp_path_factory):
    vocabulary = Vocabulary("test", {name: Category(name, phrases) for name, phrases in WORDS.items()})
    table = PhraseTable.load(clip, vocabulary.positive(), tmp_path_factory.mktemp("tables"), SILENT)
    features = clip.encode_texts(["a cat, neon"])[0]

    def run(mode, caption, **values):
        chosen = Settings(**values)
        interrogator = Interrogator(clip, vocabulary, lambda: table, chosen, SILENT)
        return interrogator.run(mode, Subject(features, caption.strip()))

    return run


@pytest.mark.parametrize("mode", CAPTIONED)
def test_a_long_caption_keeps_the_limit_and_leaves_room_for_phrases(clip, run, mode):
    trail = run(mode, LONG, token_limit=77)
    assert clip.text.length(trail.prompt) <= 77
    assert run(mode, LONG).prompt == trail.prompt or mode == "caption"
    assert trail.phrases[0].category == "caption" and LONG.startswith(trail.phrases[0].text)
    assert clip.text.length(trail.phrases[0].text) > 55
    assert len(trail.phrases) > 2 or mode == "caption"


@pytest.mark.parametrize("search", ["peer", "beam"])
def test_both_searches_have_room(clip, run, search):
    trail = run("best", LONG, search=search)
    assert clip.text.length(trail.prompt) <= 77 and len(trail.phrases) > 2


@pytest.mark.parametrize("mode", CAPTIONED)
def test_a_caption_that_leaves_room_stays_as_it_is(run, mode):
    caption = "A cat. It sits, as cats do. " + words(30)
    assert run(mode, caption).prompt.startswith(caption)


def test_a_caption_takes_all_there_is_where_nothing_is_added(clip, run):
    caption = words(75)
    assert clip.text.length(caption) == 77
    for limit in (77, None):
        assert run("caption", caption, token_limit=limit).prompt == caption
    assert run("caption", caption + " cat", token_limit=77).prompt == caption


def test_a_caption_alone_may_be_longer_than_the_clip_reads(clip, run):
    """Its similarity is then that of its parts."""
    long = "A cat sits on a mat, in neon light. " * 40
    assert clip.text.length(long) > 300 and run("caption", long).prompt == long.strip()
    kept = run("caption", long, token_limit=152)
    assert kept.prompt.endswith(".") and 120 < clip.text.length(kept.prompt) <= 152
    part = "A cat sits on a mat, in neon light."
    assert kept.similarity == pytest.approx(run("caption", " ".join([part] * 7)).similarity, abs=0.05)
    assert clip.text.length(run("caption", long * 9).prompt) <= 512


def length(text: str) -> int:
    """A token a word."""
    return len(text.split())


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (words(5, ". ") + words(5, ". ") + words(5), words(5, ". ") + words(5, ".")),
        (words(5, "! ") + words(4, '." ') + words(5), words(5, "! ") + words(4, '."')),
        (words(5, "\n") + words(9), words(5)),
        (words(4, ", ") + words(4, ", ") + words(9), words(4, ", ") + words(4)),
        (words(4, " - ") + words(20), words(4)),
        (words(9, ". ") + words(2, ", ") + words(9), words(9, ".")),
        (words(20), words(12)),
        ("In it, " + words(20), "In it, " + words(10)),  # an end so early says nothing
        ("a house in St. " + words(20), "a house in St. " + words(8)),
        ("a cat 3.5 m long, 1,000 at 12:30 " + words(20), "a cat 3.5 m long"),
        (words(12), words(12)),
    ],
)
def test_a_sentence_a_clause_a_word_in_that_order(text, kept):
    assert cut(text, length, 12) == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("猫在垫子上。" * 9, "猫在垫子上。" * 3),
        ("猫在垫子上，" * 9, ("猫在垫子上，" * 3)[:-1]),
        ("猫" * 400, "猫" * 20),
        ("e\u0301" * 40, "e\u0301" * 10),
        ("👩‍🚀" * 40, "👩‍🚀" * 6),
        ("👍🏽" * 40, "👍🏽" * 10),
        ("🇫🇷" * 19 + "x", "🇫🇷" * 10),
    ],
)
def test_text_without_spaces_is_cut_between_letters(text, kept):
    assert cut(text, len, 20) == kept


def test_what_does_not_fit_in_part_stays_out(clip, run):
    assert cut("👩‍🚀 and more", len, 2) == "👩‍", "a part where not even the first letter fits"
    assert cut("猫", lambda text: 3 * len(text), 2) == ""
    with pytest.raises(SettingsError, match="no room for the caption"):
        run("caption", "猫" * 9, token_limit=3)
    assert run("fast", "猫" * 9, token_limit=3).prompt


texts = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from(["a cat", ", ", ". ", "。", "猫" * 30, "x" * 400, "👩‍🚀", "&amp;", "...,,,!!", " "]),
    ),
    min_size=1,
    max_size=60,
).map("".join)


@settings(max_examples=100, deadline=None)
@given(texts.filter(str.strip), st.integers(6, 90), st.sampled_from(MODES), st.sampled_from(["", "8k,", "猫"]))
@example("x" * 400, 77, "caption", "")
@example("猫" * 400, 20, "best", "")
@example("👩‍🚀" * 90, 8, "fast", "")
@example("a, " * 90, 20, "classic", "8k")
def test_no_prompt_is_longer_than_its_limit(clip, run, caption, limit, mode, around):
    chosen = {"token_limit": limit + 4, "suffix": around, "max_phrases": 8}
    prompt = run(mode, caption, **chosen).prompt
    whole = prompt if mode == "negative" else framed(prompt, Settings(**chosen))
    assert prompt and clip.text.length(whole) <= (limit + 4 if mode == "caption" else min(limit + 4, 77))


@pytest.mark.parametrize("mode", ["best", "negative", "fast", "classic"])
def test_phrases_keep_the_limit_where_there_is_no_caption(clip, tmp_path, mode):
    """The chain's first phrase, and one that would run over the model's own context length."""
    flavors = (words(40), words(45, " red"), "neon light in the fog")
    vocabulary = Vocabulary("long", {"flavors": Category("flavors", flavors)})
    table = PhraseTable.load(clip, vocabulary.positive(), tmp_path, SILENT)
    subject = Subject(clip.encode_texts([f"{flavors[0]}, {flavors[1]}"])[0], "")
    for limit in (5, 20, 77):
        interrogator = Interrogator(clip, vocabulary, lambda: table, Settings(token_limit=limit), SILENT)
        found = interrogator.run(mode, subject).prompt
        assert clip.text.length(found) <= limit
        assert found or mode == "negative"


def test_a_book_takes_no_longer_than_a_page(run):
    started = time.process_time()
    for book in ("a cat on a mat. " * 100_000, "x" * 1_000_000, " " * 500_000 + "a" * 500_000, "猫" * 500_000):
        assert run("caption", book).prompt
    assert time.process_time() - started < 5
