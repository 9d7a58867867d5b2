"""Prompts as file names: what every operating system takes, and no two alike."""

from __future__ import annotations

import unicodedata
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unrender.core.batch.names import NAME_BYTES, numbered, safe_stem, same_name

WINDOWS_DEVICES = ["CON", "PRN", "AUX", "NUL", "COM1", "COM¹", "LPT9", "lpt³", "con.tar", "nul .txt", "Aux..."]
TEXTS = st.text(max_size=400) | st.text(alphabet=' .,/\\:*?"<>|\n\t\u202eaé漢👩\u200d🎨e\u0301', max_size=400)


def is_taken_by_windows(name: str) -> bool:
    """Windows' own rules, as documented by Microsoft, written out apart."""
    return (
        not any(letter in '<>:"/\\|?*' or ord(letter) < 32 for letter in name)
        and not name.endswith((".", " "))
        and not PureWindowsPath(name).is_reserved()
    )


@pytest.mark.parametrize("text", WINDOWS_DEVICES)
def test_names_of_devices_get_another_beginning(text):
    name = f"{safe_stem(text, 100)}.png"
    assert is_taken_by_windows(name) and name.startswith("_")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("a cat, by José", "a cat, by José"),
        ("夜の港, 霧", "夜の港, 霧"),
        ("قطة على السطح", "قطة على السطح"),
        ("a 👩\u200d🎨 at work", "a 👩\u200d🎨 at work"),
        ('16:9, "quoted" <b> a/b\\c? *', "16 9, quoted b a b c"),
        ("two\nlines\tand more", "two lines and more"),
        ("exe\u202egnp.cat", "exegnp.cat"),
        ("...hidden...", "hidden"),
        ("", "untitled"),
        (" \n ", "untitled"),
        ("???", "untitled"),
    ],
)
def test_what_stays_of_a_prompt(text, name):
    assert safe_stem(text, 100) == name


def test_a_long_prompt_ends_between_its_phrases():
    prompt = "a painting of an old harbour at dawn, fog, by ada, soft light, cubism, " + "neon, " * 50
    name = safe_stem(prompt, 60)
    assert len(name.encode()) < 60 and prompt.startswith(name) and prompt[len(name)] == ","


@given(TEXTS, st.integers(20, NAME_BYTES))
def test_every_text_becomes_a_name_that_every_system_takes(text, most):
    stem = safe_stem(text, most)
    assert 0 < len(stem.encode()) <= most
    assert is_taken_by_windows(f"{stem}.png") and is_taken_by_windows(stem)
    assert not stem.startswith(".") and stem == unicodedata.normalize("NFC", stem)
    assert not any(unicodedata.category(letter) in ("Cc", "Cs") or letter in "\u202e\u2066" for letter in stem)


@given(TEXTS)
def test_a_name_is_a_file_and_comes_back(text):
    import tempfile

    name = numbered(text, ".png", lambda _: False)
    assert len(name.encode()) <= NAME_BYTES
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).write_bytes(b"")
        assert [path.name for path in Path(folder).iterdir()] == [name]


@given(
    st.lists(st.sampled_from(["a cat", "A Cat", "a cat (2)", "é" * 200, "e\u0301" * 200, "", "x" * 300]), max_size=20)
)
def test_no_two_names_are_one_to_any_file_system(texts):
    taken: set[str] = set()
    for text in texts:
        name = numbered(text, ".png", lambda name: same_name(name) in taken)
        assert same_name(name) not in taken and len(name.encode()) <= NAME_BYTES
        taken.add(same_name(name))


def test_equal_prompts_are_numbered():
    taken = {"a cat.png", "a cat (2).png"}
    assert numbered("a cat", ".png", taken.__contains__) == "a cat (3).png"
