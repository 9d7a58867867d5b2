"""Families of concepts: the built-in ones, how files are read, and what texts are found to state."""

import re
import unicodedata
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_lists import BLOCKED, MAX_LENGTH
from unrender.core.errors import PhraseError
from unrender.core.phrases.families import BUILT_IN_FAMILIES, Claims, Concept, Family, load_families, read_families
from unrender.core.phrases.families.claims import forms, plural

PATHS = sorted(BUILT_IN_FAMILIES.glob("*.txt"))
FAMILIES = read_families(BUILT_IN_FAMILIES)
COLOURS = ("black", "blonde", "blond", "brown", "red", "white", "silver", "grey", "blue", "pink", "green", "purple")
HOMONYMS = {
    "it counts people and says who they are": (
        *("one man", "one woman", "one boy", "one girl", "one child"),
        *("two men", "two women", "two boys", "two girls", "two children", "1girl", "1boy", "2girls", "2boys"),
        *("three men", "three women", "three boys", "three girls", "three children", "3girls", "3boys"),
        *("a group of men", "a group of women", "a group of children", "multiple girls", "multiple boys"),
    ),
    "it says how hair is worn and its colour": tuple(
        f"{style} {colour} hair"
        for style in ("long", "short", "curly", "messy", "wavy", "straight")
        for colour in COLOURS
    ),
}
"""Wordings that state concepts of two families, by why they do. One that is in a single family is not listed."""


def meanings() -> dict[str, set[tuple[str, str]]]:
    """By each form in which a text may have a wording, the families and concepts that have it."""
    known: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for family in FAMILIES:
        for concept in family.concepts:
            for wording in concept.wordings:
                for form in forms(wording):
                    known[form].add((family.name, concept.name))
    return known


def stated(claims: Claims, text: str) -> set[tuple[str, str]]:
    return {(claim.family.name, claim.concept.name) for claim in claims.read(text)}


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.txt"
    path.write_text(text, encoding="utf-8")
    return path


def text_of(*lines: str, excludes: str = "no", always: str = "no") -> str:
    return "\n".join(("about: what it is", f"excludes: {excludes}", f"always: {always}", "", *lines, ""))


def family(*concepts: Concept, name: str = "things") -> Family:
    return Family(name, "what it is", False, False, concepts)


# --- the built-in files


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
class TestFile:
    def test_ends_with_one_newline_and_uses_no_other_line_break(self, path: Path) -> None:
        text = path.read_bytes().decode("utf-8")
        assert text.endswith("\n") and not text.endswith("\n\n")
        assert text.splitlines() == text.removesuffix("\n").split("\n")

    def test_is_nfc_without_control_characters(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert text == unicodedata.normalize("NFC", text)
        assert [c for c in text.replace("\n", "") if unicodedata.category(c)[0] == "C"] == []

    def test_has_no_stray_space_or_comma(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if line != " ".join(line.split()) or re.search(r" ,|,,|,\S|,$", line)] == []

    def test_says_nothing_twice(self, path: Path) -> None:
        """Not even in one concept, where the reader would let it pass."""
        body = path.read_text(encoding="utf-8").partition("\n\n")[2].splitlines()
        said = [each.strip().casefold() for line in body for each in line.partition(":")[2].split(",")]
        assert [each for each in said if not each or said.count(each) > 1] == []

    def test_wordings_are_short_and_fit_to_print(self, path: Path) -> None:
        wordings = [wording for each in FAMILIES if each.name == path.stem for wording in each.wordings]
        assert wordings
        assert [each for each in wordings if len(each) > MAX_LENGTH or BLOCKED.search(each)] == []

    def test_is_named_with_spaces_in_small_letters(self, path: Path) -> None:
        assert path.stem == path.stem.lower() and "_" not in path.stem


def test_there_are_enough() -> None:
    concepts = [concept for each in FAMILIES for concept in each.concepts]
    assert len(FAMILIES) >= 30
    assert len(concepts) >= 600
    assert len({wording.lower() for concept in concepts for wording in concept.wordings}) >= 2500


def test_names_of_families_are_different() -> None:
    names = [each.name for each in FAMILIES]
    assert len(set(names)) == len(names)


def test_no_wording_has_two_meanings_but_those_that_state_both() -> None:
    allowed = {form for words in HOMONYMS.values() for word in words for form in forms(word)}
    assert {form: sorted(said) for form, said in meanings().items() if len(said) > 1 and form not in allowed} == {}


def test_homonyms_are_in_two_families_each() -> None:
    known = meanings()
    listed = [forms(word)[0] for words in HOMONYMS.values() for word in words]
    assert [form for form in listed if len({name for name, _ in known.get(form, ())}) != 2] == []


def test_every_wording_is_read_as_exactly_its_concept() -> None:
    claims, known = Claims(FAMILIES), meanings()
    wrong = {
        text: found
        for each in FAMILIES
        for wording in each.wordings
        for text in (wording, wording.upper(), f"a picture, {wording}, of it")
        if (found := stated(claims, text)) != known[forms(wording)[0]]
    }
    assert wrong == {}


# --- how texts are read

NIGHT = Concept("night", ("at night", "a starry night"))
WHITE = Concept("white", ("white",))
BLANK = Concept("blank", ("white background",))
CHERRY = Concept("cherry", ("a cherry",))


def said(text: str, *concepts: Concept) -> list[tuple[str, str]]:
    return [(claim.concept.name, text[claim.start : claim.stop]) for claim in Claims([family(*concepts)]).read(text)]


def test_the_longest_wording_counts() -> None:
    assert said("white on a white background", WHITE, BLANK) == [("white", "white"), ("blank", "white background")]


@pytest.mark.parametrize("text", ["cherry", "a cherry", "the Cherry", "CHERRIES"])
def test_articles_letter_case_and_plurals_do_not_matter(text: str) -> None:
    assert [name for name, _ in said(text, CHERRY)] == ["cherry"]


@pytest.mark.parametrize("text", ["off-white", "white-ish", "whiten", "snowwhite", "white_"])
def test_parts_of_words_do_not_count(text: str) -> None:
    assert said(text, WHITE) == []


@pytest.mark.parametrize(
    ("noun", "many"),
    [("dog", "dogs"), ("box", "boxes"), ("torch", "torches"), ("city", "cities"), ("toy", "toys"), ("bus", "buses")],
)
def test_plurals(noun: str, many: str) -> None:
    assert plural(noun) == many


@pytest.mark.parametrize("before", ["STRASSE, ", "Straße, ", "İstanbul, ", "İİİ ß ", "\N{LATIN SMALL LIGATURE FFI} "])
def test_places_are_the_texts_own(before: str) -> None:
    assert said(f"{before}At Night", NIGHT) == [("night", "At Night")]


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=30), st.sampled_from(["At Night", "WHITE", "cherries"]))
def test_a_wording_is_found_where_it_stands_in_any_text(before: str, wording: str) -> None:
    text = f"{before} {wording}"
    found = said(text, NIGHT, WHITE, CHERRY)
    assert found[-1][1] == wording
    assert {words.lower() for _, words in found} <= {"at night", "starry night", "white", "cherry", "cherries"}


def test_a_wording_of_two_families_states_both() -> None:
    number, sort = family(Concept("one", ("1girl",)), name="number"), family(Concept("girl", ("1girl",)), name="sort")
    claims = Claims([number, sort]).read("1girl")
    assert [(claim.family.name, claim.concept.name) for claim in claims] == [("number", "one"), ("sort", "girl")]


def test_no_families_state_nothing() -> None:
    assert Claims([]).read("at night") == ()


# --- how files are read


def test_a_file_is_a_family(tmp_path: Path) -> None:
    write(
        tmp_path,
        "time of_day",
        text_of("# a remark", "night: at night,  at  midnight", "noon: at noon", excludes="yes"),
    )
    (read,) = read_families(tmp_path)
    assert (read.name, read.about, read.excludes, read.always) == ("time of day", "what it is", True, False)
    assert read.concepts == (Concept("night", ("at night", "at midnight")), Concept("noon", ("at noon",)))
    assert read.wordings == ("at night", "at midnight", "at noon")


def test_windows_line_ends_are_line_ends(tmp_path: Path) -> None:
    path = write(tmp_path, "times", "")
    path.write_bytes(text_of("night: at night", "noon: at noon").replace("\n", "\r\n").encode())
    assert read_families(tmp_path)[0].wordings == ("at night", "at noon")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "does not begin with about, excludes, always"),
        ("excludes: yes\nabout: it\nalways: no\n\na: b\nc: d\n", "does not begin with"),
        (text_of("night: at night", "noon: at noon", excludes="maybe"), "has excludes: 'maybe'"),
        (text_of("night: at night", "noon: at noon", always=""), "has always: ''"),
        (text_of("night: at night"), "fewer than two concepts"),
        (text_of("night: at night", "at noon"), "Line 6 of"),
        (text_of(": at night", "noon: at noon"), "Line 5 of"),
        (text_of("night: at night", "night: at midnight"), "'night' twice or bare"),
        (text_of("night: at night", "noon: , ,"), "'noon' twice or bare"),
        (text_of("night: at night", "noon: At Night"), "says 'At Night' of noon and of night"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_path(tmp_path: Path, text: str, part: str) -> None:
    path = write(tmp_path, "times", text)
    with pytest.raises(PhraseError) as caught:
        read_families(tmp_path)
    assert part in str(caught.value) and str(path) in str(caught.value)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_a_family_or_an_error_in_a_sentence(tmp_path_factory: pytest.TempPathFactory, rest: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "any.txt").write_bytes(text_of(rest).encode("utf-8", "replace"))
    try:
        (read,) = read_families(folder)
    except PhraseError:
        return
    assert all(read.wordings) and len({wording.casefold() for wording in read.wordings}) == len(read.wordings)


def test_a_users_families_replace_and_add(tmp_path: Path) -> None:
    base = tmp_path / "base"
    write(base, "times", text_of("night: at night", "noon: at noon"))
    write(base, "places", text_of("sea: by the sea", "wood: in a wood"))
    write(tmp_path / "own/families", "times", text_of("dawn: at dawn", "dusk: at dusk"))
    write(tmp_path / "own/families", "weather", text_of("rain: in the rain", "snow: in the snow"))
    found = {each.name: [concept.name for concept in each.concepts] for each in load_families(tmp_path / "own", base)}
    assert found == {"places": ["sea", "wood"], "times": ["dawn", "dusk"], "weather": ["rain", "snow"]}


def test_phrases_without_families_have_the_built_in_ones(tmp_path: Path) -> None:
    assert load_families() == load_families("peer") == load_families("extended") == load_families(tmp_path) == FAMILIES


# --- the page


def test_the_page_says_ten_photographs_in_wordings_alone() -> None:
    page = (Path(__file__).parent.parent / "docs/families.md").read_text(encoding="utf-8")
    prompts = dict(re.findall(r"^\| (\w+) \| (.+) \|$", page.partition("\n|---|---|\n")[2], re.MULTILINE))
    known = meanings()
    assert len(prompts) == 10
    assert {name: w for name, prompt in prompts.items() for w in prompt.split(", ") if forms(w)[0] not in known} == {}
