"""The built-in vocabularies: enough phrases, each one clean."""

import pathlib
import re
import unicodedata
from collections import Counter

import pytest
import unrender

LISTS = pathlib.Path(unrender.__file__).parent / "core/phrases/lists"
MINIMA = {
    "artists": 1500,
    "flavors": 8000,
    "mediums": 150,
    "movements": 250,
    "negative": 80,
    "sites": 80,
}
MAX_LENGTH = 60
BLOCKED = re.compile(
    r"\b(nude|nudes|nudity|naked|nsfw|sexy|sexual|porn|pornographic|erotic|erotica|hentai|fetish|xxx|topless)\b",
    re.IGNORECASE,
)


def read_text(name: str) -> str:
    return (LISTS / f"{name}.txt").read_bytes().decode("utf-8")


def read_phrases(name: str) -> list[str]:
    return read_text(name).removesuffix("\n").split("\n")


@pytest.mark.parametrize("name", MINIMA)
class TestList:
    def test_has_enough_phrases(self, name: str) -> None:
        assert len(read_phrases(name)) >= MINIMA[name]

    def test_ends_with_one_newline_and_uses_no_other_line_break(self, name: str) -> None:
        text = read_text(name)
        assert text.endswith("\n")
        assert not text.startswith("\ufeff")
        assert text.splitlines() == read_phrases(name)

    def test_has_no_blank_line_or_stray_space(self, name: str) -> None:
        untidy = [p for p in read_phrases(name) if not p or p != " ".join(p.split())]
        assert untidy == []

    def test_names_nothing_twice(self, name: str) -> None:
        counts = Counter(p.casefold() for p in read_phrases(name))
        assert [p for p, count in counts.items() if count > 1] == []

    def test_is_nfc_without_control_characters(self, name: str) -> None:
        odd = [
            p
            for p in read_phrases(name)
            if p != unicodedata.normalize("NFC", p) or any(unicodedata.category(c)[0] == "C" for c in p)
        ]
        assert odd == []

    def test_phrases_are_short(self, name: str) -> None:
        assert [p for p in read_phrases(name) if len(p) > MAX_LENGTH] == []

    def test_has_no_blocked_word(self, name: str) -> None:
        assert [p for p in read_phrases(name) if BLOCKED.search(p)] == []


def test_every_list_in_the_folder_is_checked() -> None:
    assert {p.stem for p in LISTS.glob("*.txt")} == set(MINIMA)


@pytest.mark.parametrize("name", ["mediums", "movements", "negative", "sites"])
def test_phrases_that_are_not_names_are_lower_case(name: str) -> None:
    assert [p for p in read_phrases(name) if p != p.lower()] == []


def test_artists_are_bare_names() -> None:
    assert [p for p in read_phrases("artists") if p.lower().startswith(("by ", "inspired by "))] == []
