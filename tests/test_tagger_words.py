"""Which tags are chosen, and how they become words."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unrender.core.describe.tagging.choice import Thresholds, chosen, cut, ratings, rounded
from unrender.core.describe.tagging.parents import without_parents
from unrender.core.describe.tagging.tag_list import ListedTag
from unrender.core.describe.tagging.words import KAOMOJI, ordered, words_of, written
from unrender.core.prompt_syntax import escape
from unrender.core.settings import TagSettings
from unrender.core.tags import Tag, TagCategory

LISTED = (
    ListedTag("safe", "rating"),
    ListedTag("risky", "rating"),
    ListedTag("1girl", "general"),
    ListedTag("long_hair", "general"),
    ListedTag("sky", "general"),
    ListedTag("miku_(game)", "character"),
    ListedTag("game", "copyright"),
    ListedTag("somebody", "artist"),
)


def names(confidences: list[float], settings: TagSettings | None = None, usual: Thresholds | None = None) -> list[str]:
    found = chosen(LISTED, np.array(confidences), settings or TagSettings(), usual or Thresholds())
    return [tag.name for tag in found]


def test_thresholds_are_reached_not_passed() -> None:
    assert names([0.9, 0, 0.35, 0.3499, 1, 0.85, 0.8499, 0.9]) == ["sky", "somebody", "miku_(game)", "1girl"]


def test_thresholds_asked_for_stand_over_the_publishers() -> None:
    confidences = [0, 0, 0.5, 0.3, 0, 0.6, 0.5, 0]
    assert names(confidences, usual=Thresholds(0.4, 0.55)) == ["miku_(game)", "1girl"]
    assert names(confidences, TagSettings(general=0.3, character=0.5)) == ["miku_(game)", "1girl", "game", "long_hair"]


def test_tags_have_thresholds_of_their_own_where_the_list_tells_them() -> None:
    listed = (ListedTag("sure", "general", 0.2), ListedTag("unsure", "general", 0.7))
    values = np.array([0.25, 0.6])
    assert [tag.name for tag in chosen(listed, values, TagSettings(), Thresholds())] == ["sure"]
    assert len(chosen(listed, values, TagSettings(general=0.1), Thresholds())) == 2


def test_the_largest_gap_cuts() -> None:
    """By hand: of 0.9 0.8 0.3 0.2 the largest gap is in the middle of 0.55."""
    assert cut([0.3, 0.9, 0.2, 0.8]) == pytest.approx(0.55)
    assert cut([0.9, 0.5, 0.1]) == pytest.approx(0.7)  # of equal gaps the upper
    assert cut([0.5]) == cut([]) == 1.0


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=40, unique=True))
def test_the_cut_parts_as_many_as_are_above_the_largest_gap(values: list[int]) -> None:
    falling = sorted(values, reverse=True)
    gaps = [one - other for one, other in itertools.pairwise(falling)]
    above = gaps.index(max(gaps)) + 1
    assert sum(value >= cut(values) for value in values) == above


def test_automatic_thresholds_are_each_pictures_own_and_doubt_names() -> None:
    automatic = TagSettings(automatic=True, character=1, general=1)
    assert names([0, 0, 0.2, 0.19, 0.02, 0.14, 0, 0], automatic) == ["1girl", "long_hair"]
    both = (ListedTag("a", "character"), ListedTag("b", "character"))
    for confidences, said in (([0.14, 0.01], []), ([0.16, 0.01], ["a"])):
        found = chosen(both, np.array(confidences), automatic, Thresholds())
        assert [tag.name for tag in found] == said


def test_excluded_tags_by_any_spelling() -> None:
    confidences = [0.0, 0, 1, 1, 1, 1, 0, 0]
    for spelled in ("long_hair", "Long Hair", "LONG_hair "):
        assert names(confidences, TagSettings(exclude=(spelled,))) == ["1girl", "sky", "miku_(game)"]
    assert "miku_(game)" not in names(confidences, TagSettings(exclude=(r"miku \(game\)",)))


def test_most_counts_general_tags_after_all_else() -> None:
    confidences = [0, 0, 0.9, 0.8, 0.7, 0.95, 0, 0]
    assert names(confidences, TagSettings(most=1)) == ["miku_(game)", "1girl"]
    assert names(confidences, TagSettings(most=2, exclude=("1girl",))) == ["miku_(game)", "long_hair", "sky"]


def test_ratings_are_all_told_the_likeliest_first() -> None:
    found = ratings(LISTED, np.array([0.2, 0.6, *[0.0] * 6]))
    assert [(tag.name, tag.confidence) for tag in found] == [("risky", 0.6), ("safe", 0.2)]


def test_what_is_computed_together_differs_in_digits_that_decide_nothing() -> None:
    assert list(rounded(np.array([0.35004, 0.349996], np.float32))) == [0.35, 0.35]


# --- implied ---


def left(*tags: str, category: TagCategory = "general") -> list[str]:
    return [tag.name for tag in without_parents([Tag(name, 0.5, category) for name in tags])]


@pytest.mark.parametrize(
    ("child", "parents"),
    [
        ("cat_ears", ["animal_ears"]),
        ("very_long_hair", ["long_hair"]),
        ("pleated_skirt", ["skirt"]),
        ("black_pleated_skirt", ["pleated_skirt", "skirt"]),
        ("2girls", ["multiple_girls"]),
        ("6+boys", ["multiple_boys"]),
        ("holding_sword", ["holding", "sword", "weapon"]),
        ("katana", ["sword", "weapon"]),
        ("bow_(weapon)", ["weapon"]),
        ("white_background", ["simple_background"]),
        ("micro_bikini", ["bikini", "swimsuit"]),
        ("large_breasts", ["breasts"]),
        ("hair_flower", ["hair_ornament", "flower"]),
    ],
)
def test_what_others_imply_is_left_out(child: str, parents: list[str]) -> None:
    assert left(*parents, child, "solo") == [child, "solo"]
    assert left(*parents) != []


@pytest.mark.parametrize(
    "both",
    [
        ("no_shoes", "shoes"),
        ("parted_lips", "lips"),
        ("solo_focus", "focus"),
        ("fake_animal_ears", "animal_ears"),
        ("1girl", "solo"),
        ("sword", "shield"),
        ("long_hair", "short_hair"),
        ("lap_pillow_(object)", "object"),
    ],
)
def test_what_only_looks_implied_stays(both: tuple[str, str]) -> None:
    assert left(*both) == list(both)


def test_a_character_in_another_dress_is_the_character() -> None:
    assert left("miku", "miku_(append)", "miku_(append)_(game)", category="character") == ["miku_(append)_(game)"]
    assert left("miku_(append)", "rin", category="character") == ["miku_(append)", "rin"]
    assert left("artist", "great_artist", category="artist") == ["artist", "great_artist"]


def test_implied_tags_on_request() -> None:
    listed = (ListedTag("cat_ears", "general"), ListedTag("animal_ears", "general"))
    for implied, count in ((False, 1), (True, 2)):
        assert len(chosen(listed, np.ones(2), TagSettings(implied=implied), Thresholds())) == count


# --- words ---

TAGS = (
    Tag("long_hair", 0.9),
    Tag("miku_(game)", 0.88, "character"),
    Tag(">_<", 0.8),
    Tag("1girl", 0.7),
    Tag("game", 0.6, "copyright"),
)
RATING = Tag("safe", 0.9, "rating")


def test_underscores_become_blanks_but_in_faces() -> None:
    assert words_of(TAGS, RATING, TagSettings()) == "long hair, miku (game), >_<, 1girl, game"
    assert words_of(TAGS, RATING, TagSettings(underscores=True)) == "long_hair, miku_(game), >_<, 1girl, game"
    assert all(written(face, TagSettings()) == face for face in KAOMOJI)
    assert len(KAOMOJI) == 19


def test_order() -> None:
    assert words_of(TAGS, RATING, TagSettings(order="alphabet")) == "1girl, >_<, game, long hair, miku (game)"
    said = words_of(TAGS, RATING, TagSettings(order="target")).split(", ")
    assert said == ["1girl", "miku (game)", "game", "long hair", ">_<"]
    said = words_of(TAGS, RATING, TagSettings(order="target", target="noobai", rating=True, trigger="mine")).split(", ")
    assert said[:2] == ["mine", "masterpiece"] and said.index("safe") < said.index("1girl") < said.index("miku (game)")
    assert ">_<" in said


def test_trigger_and_rating() -> None:
    settings = TagSettings(trigger=" mine ", rating=True)
    assert words_of(TAGS[:1], RATING, settings) == "mine, long hair, safe"
    assert words_of(TAGS[:1], None, settings) == "mine, long hair"
    assert words_of(TAGS[:1], RATING, TagSettings(rating=True, order="alphabet")) == "long hair, safe"
    assert words_of([], None, TagSettings()) == ""
    assert words_of(TAGS[:1], None, TagSettings(trigger="long hair")) == "long hair"


def test_brackets_are_protected_by_who_hands_the_prompt_on() -> None:
    text = words_of([*TAGS, Tag(":3", 0.5), Tag("|_|", 0.4)], RATING, TagSettings())
    assert escape(text, "comfyui") == r"long hair, miku \(game\), >_<, 1girl, game, :3, |_|"
    assert escape(text, "webui") == r"long hair, miku \(game\), >_<, 1girl, game, \:3, |_|"
    assert escape(written("(o)_(o)", TagSettings()), "comfyui") == r"\(o\)_\(o\)"
    assert escape("a (b)", "plain") == "a (b)"


@given(
    st.lists(
        st.builds(
            Tag, st.text("ab_()", min_size=1, max_size=6), st.floats(0, 1), st.sampled_from(["general", "character"])
        )
    )
)
def test_no_order_loses_a_tag(tags: list[Tag]) -> None:
    for order in ("confidence", "alphabet", "target"):
        found = ordered(tags, TagSettings(order=order))
        assert set(found) == {written(tag.name, TagSettings()) for tag in tags}
