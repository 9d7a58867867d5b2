"""Prompts as file names: what every operating system takes, and no two alike."""

from __future__ import annotations

import os
import random
import time
import unicodedata
from dataclasses import replace
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unrender.core.batch.folder_names import FolderNames
from unrender.core.batch.items import Item, Outcome
from unrender.core.batch.names import numbered
from unrender.core.batch.renaming import CopySink, RenameSink
from unrender.core.file_names import NAME_BYTES, safe_stem, same_name
from unrender.core.results import Interrogation

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


MANY = 4000
SECONDS = 12
"""Of this process's work for so many; to look for each number from 1 on takes more than a minute."""


def described(name, prompt):
    return Outcome(name, Interrogation(prompt, 0.5, "fast", "", (), "quick", 0.0))


@pytest.mark.parametrize("sink_of", [RenameSink, CopySink])
@pytest.mark.parametrize("endings", ["{}.png", "img.{}.png"])
@pytest.mark.parametrize("prompt", ["a red cat on a mat", "夜の港, " * 40], ids=["short", "cut"])
def test_thousands_of_equal_prompts_are_named_in_little_time(tmp_path, sink_of, endings, prompt):
    names = [endings.format(number) for number in range(MANY)]
    for name in names:
        (tmp_path / name).touch()
    sink, started = sink_of(tmp_path), time.process_time()
    outcomes = [(Item(name, tmp_path / name), described(name, prompt)) for name in names]
    planned = [sink.shown(replace(outcome, plan=sink.plan(item, outcome))) for item, outcome in outcomes]
    assert time.process_time() - started < SECONDS
    assert len({same_name(name) for name in planned}) == MANY and f" ({MANY}).png" in planned[-1]


def test_named_again_thousands_of_equal_prompts_keep_their_names(tmp_path):
    names = ["cat.png", *(f"cat ({number}).png" for number in range(2, MANY))]
    for name in names:
        (tmp_path / name).touch()
    sink, started = RenameSink(tmp_path), time.process_time()
    for name in sorted(names):
        assert sink.plan(Item(name, tmp_path / name), described(name, "cat"))["moved"] == name
    assert time.process_time() - started < SECONDS


def test_ten_times_as_many_equal_prompts_take_ten_times_as_long(tmp_path):
    names, started = FolderNames(tmp_path), time.process_time()
    for number in range(30_000):
        stem = names.free_stem("a red cat", [".png"], [f"{number}.png"])
        names.take([(f"{number}.png", f"{stem}.png")])
    assert stem == "a red cat (30000)" and time.process_time() - started < SECONDS


class Counting:
    """A folder's names, where every search begins at 1."""

    def __init__(self, names):
        self._held = {same_name(name) for name in names}

    def free_stem(self, text, endings, own=()):
        longest = max(endings, key=lambda ending: len(os.fsencode(ending)))
        kept = {same_name(name) for name in own}

        def is_taken(name):
            all_of_it = {same_name(name.removesuffix(longest) + ending) for ending in endings}
            return bool(all_of_it & self._held - kept)

        return numbered(text, longest, is_taken).removesuffix(longest)

    def take(self, moves):
        for old, new in moves:
            self._held.discard(same_name(old))
            self._held.add(same_name(new))


STEMS = ["cat", "Cat", "cat (2)", "cat (10)", "dog", f"{'x' * 150}, a", f"{'x' * 150}, b", "e\u0301", "é"]


@pytest.mark.parametrize("seed", range(40))
def test_the_lowest_free_number_is_taken(tmp_path, seed):
    """Also one that becomes free, and the own one of a picture that is named again."""
    chance = random.Random(seed)
    for _ in range(60):
        stem = safe_stem(chance.choice(STEMS), 120)
        number = chance.choice(["", "", *(f" ({each})" for each in range(2, 14))])
        (tmp_path / f"{stem}{number}{chance.choice(['.png', '.jpg', '.txt', '.png.json'])}").touch()
    there = sorted(path.name for path in tmp_path.iterdir())
    quick, slow = FolderNames(tmp_path), Counting(there)
    for name in there:
        if name.endswith((".png", ".jpg")):
            stem, endings, text = Path(name).stem, quick.endings(name), chance.choice(STEMS)
            own = [stem + ending for ending in endings]
            found = quick.free_stem(text, endings, own)
            assert found == slow.free_stem(text, endings, own)
            moves = [(stem + ending, found + ending) for ending in endings]
            copied = quick.free_stem(text, [".png"])
            assert copied == slow.free_stem(text, [".png"])
            for names in (quick, slow):
                names.take(moves)
