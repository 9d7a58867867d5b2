"""Targets name models that exist and settings that are valid, and say in which order their tags come."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unrender.core.errors import SettingsError
from unrender.core.phrases import POSITIVE
from unrender.core.settings import CaptionSettings, Settings, TagSettings
from unrender.core.tags import TAG_CATEGORIES, Tag
from unrender.core.targets import TAG_GROUPS, TARGET_NAMES, TARGETS, ordered, target_named


def test_there_is_one_for_every_family():
    assert tuple(TARGETS) == TARGET_NAMES
    assert set(TARGET_NAMES) == {
        *("sd15", "sd2", "sdxl", "pony", "illustrious", "noobai", "anima", "sd35", "flux", "flux2"),
        *("qwen-image", "z-image", "chroma", "hidream"),
    }
    assert all(target.name == name for name, target in TARGETS.items())


def test_what_was_said_of_four_families_still_holds():
    """Of the settings that were a preset's: the judge, the lengths and the phrases. A search has 77 tokens of 512."""
    usual = Settings()
    for name, clip in (("sd15", "ViT-L-14/openai"), ("sd2", "ViT-H-14/laion2b_s32b_b79k"), ("sdxl", "ViT-L-14/openai")):
        made = TARGETS[name].over(usual)
        plain = replace(made, captioning=replace(made.captioning, tags=TagSettings()))
        assert plain == replace(usual, clip=clip, token_limit=77, limits={}, captioning=CaptionSettings(max_length=32))
    made = TARGETS["flux"].over(usual)
    plain = replace(made, captioning=replace(made.captioning, tags=TagSettings()))
    assert plain == replace(
        usual, token_limit=512, limits={}, min_phrases=2, max_phrases=8, captioning=CaptionSettings(max_length=60)
    )


@pytest.mark.parametrize("name", TARGET_NAMES)
def test_a_target_keeps_what_it_does_not_speak_of(name):
    asked = Settings(device="cpu", pool=7, captioning=CaptionSettings(beams=3, tags=TagSettings(general=0.4)))
    made = TARGETS[name].over(asked)
    assert (made.device, made.pool, made.captioning.beams, made.captioning.tags.general) == ("cpu", 7, 3, 0.4)
    assert made.captioning.tags.target == name and made.captioning.tags.order == "target"


@pytest.mark.parametrize("name", TARGET_NAMES)
def test_a_chat_model_is_asked_for_its_style_and_not_cut(name):
    made = TARGETS[name].over(Settings(), "chat")
    assert made.captioning.style == TARGETS[name].style and made.captioning.max_length is None


@pytest.mark.parametrize("name", TARGET_NAMES)
def test_every_target_names_a_clip_that_can_be_had_as_safetensors(name):
    from unrender.core.clip.names import find_known

    known = find_known(TARGETS[name].clip)
    assert known is not None and known.safetensors


@pytest.mark.parametrize("name", TARGET_NAMES)
def test_a_line_agrees_with_itself(name):
    target = TARGETS[name]
    assert sorted(target.grammar) == sorted(TAG_GROUPS) and target.grammar[0] == "quality"
    assert (target.form == "tags") == (target.mode == "tags") == (target.describers[0] == "tagger")
    assert target.negative or not target.negative_words
    assert target.words is None or 0 < target.words[0] < target.words[1]


def test_what_clip_may_add_is_limited():
    assert TARGETS["sd15"].limits == {}
    assert set(TARGETS["pony"].limits) == set(TARGETS["z-image"].limits) == set(POSITIVE)
    assert TARGETS["pony"].limits["artists"] == TARGETS["pony"].limits["sites"] == 0 < TARGETS["pony"].limits["mediums"]
    assert set(TARGETS["z-image"].limits.values()) == {0}
    kept = TARGETS["pony"].over(Settings(limits={"colours": 2})).limits
    assert kept["colours"] == 2 and kept["artists"] == 0


# --- the order of tags

TAGS = (
    Tag("outdoors", 0.99),
    Tag("general", 0.3, "rating"),
    Tag("sensitive", 0.6, "rating"),
    Tag("long_hair", 0.9),
    Tag("hatsune_miku", 0.97, "character"),
    Tag("solo", 0.95),
    Tag("vocaloid", 0.9, "copyright"),
    Tag("1girl", 0.94),
    Tag("some_artist", 0.9, "artist"),
    Tag("highres", 0.9, "meta"),
    Tag("0_0", 0.5),
)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (
            "",
            "1girl, solo, hatsune miku, vocaloid, some artist, outdoors, long hair, 0_0, highres, sensitive",
        ),
        (
            "pony",
            "score_9, score_8_up, score_7_up, score_6_up, score_5_up, score_4_up, source_anime, rating_safe, 1girl, "
            "solo, hatsune miku, vocaloid, some artist, highres, outdoors, long hair, 0_0",
        ),
        (
            "noobai",
            "masterpiece, best quality, newest, absurdres, highres, sensitive, 1girl, solo, hatsune miku, vocaloid, "
            "some artist, outdoors, long hair, 0_0",
        ),
        (
            "anima",
            "masterpiece, best quality, score_7, highres, sensitive, 1girl, solo, hatsune miku, vocaloid, "
            "@some artist, outdoors, long hair, 0_0",
        ),
    ],
)
def test_tags_come_in_a_family_s_order(target, words):
    assert ordered(TAGS, target) == words.split(", ")


def test_ratings_have_a_family_s_names():
    explicit = (Tag("explicit", 0.9, "rating"),)
    safe = (Tag("general", 0.9, "rating"),)
    assert ordered(explicit, "pony")[-1] == "rating_explicit" and ordered(safe, "pony")[-1] == "rating_safe"
    assert ordered(safe, "anima")[-1] == ordered(safe, "noobai")[-1] == "safe"
    assert ordered(safe, "illustrious")[-1] == "general"
    assert ordered((Tag("questionable", 0.9, "rating"),), "anima")[-1] == "nsfw"
    assert ordered(safe) == ["general"]


@pytest.mark.parametrize("counted", ["1girl", "2boys", "6+girls", "1other", "multiple_girls", "solo", "no_humans"])
def test_what_counts_comes_first(counted):
    assert ordered((Tag("tree", 0.9), Tag(counted, 0.4)))[0] == counted.replace("_", " ")


@pytest.mark.parametrize("other", ["3d", "4koma", "girl", "solo_focus", "boys_(band)"])
def test_what_merely_has_a_number_does_not(other):
    assert ordered((Tag("tree", 0.9), Tag(other, 0.4)))[0] == "tree"


def test_names_are_written_as_one_likes_and_scores_keep_their_underscores():
    written = ordered(TAGS, "pony", write=str.upper)
    assert "LONG_HAIR" in written and "score_9" in written and "rating_safe" in written


def test_a_family_that_is_none_is_refused():
    with pytest.raises(SettingsError, match="no family 'sd9'"):
        ordered(TAGS, "sd9")
    assert target_named("flux2").form == "sentences"


_NAMES = st.sampled_from(["1girl", "solo", "2boys", "tree", "long_hair", "highres", "safe", "x_x", "ab_c"])
_TAGS = st.lists(st.builds(Tag, _NAMES, st.floats(0, 1), st.sampled_from(TAG_CATEGORIES)), max_size=12)


@given(_TAGS, st.sampled_from(("", *TARGET_NAMES)))
def test_no_tag_is_lost_and_none_told_twice(tags, target):
    words = ordered(tags, target)
    assert len(set(words)) == len(words)
    bare = {word.removeprefix("@") for word in words}
    quality = set(TARGETS[target].quality) if target else set()
    kept = {tag.name if tag.name == "x_x" else tag.name.replace("_", " ") for tag in tags if tag.category != "rating"}
    assert kept <= bare and quality <= bare
    assert len(bare - kept - quality) <= 1, "a rating"


@given(st.permutations(["tree", "long_hair", "boat", "sea", "cat"]), _TAGS, st.sampled_from(TARGET_NAMES))
def test_tags_of_a_group_keep_their_order(names, others, target):
    others = [tag for tag in others if tag.name not in names]
    words = ordered([*(Tag(name, 0.5) for name in names), *others], target)
    known = [name.replace("_", " ") for name in names]
    assert [word for word in words if word in known] == known


# --- the page that has the table


def rows(first):
    """The rows of a page's table, by what each cell of the first column names, below a heading cell."""
    page = (Path(__file__).parents[1] / "docs/targets.md").read_text(encoding="utf-8")
    (table,) = [part for part in page.split("\n\n") if part.startswith(f"| {first} |")]
    cells = [[cell.strip() for cell in line[1:-1].split(" | ")] for line in table.split("\n")[2:]]
    return {name: rest for head, *rest in cells for name in re.findall(r"`([\w-]+)`", head) or [head]}


def test_the_page_says_how_each_is_prompted():
    told = rows("target | form")
    assert set(told) == set(TARGET_NAMES)
    for name, (_, mode, describers, adds, length) in told.items():
        target = TARGETS[name]
        assert mode.startswith(f"`{target.mode}`") and adds.startswith(target.adds)
        assert describers == ", ".join({"chat": "chat model"}.get(sort, sort) for sort in target.describers)
        if target.words is not None:
            assert length.startswith(f"{target.words[0]} to {target.words[1]} words")


def test_the_page_says_what_begins_a_prompt_and_what_ratings_are_called():
    begins = rows("target | begins with")
    assert begins == {name: [", ".join(each.quality)] for name, each in TARGETS.items() if each.quality}
    ratings = rows("rating by the tagger")
    for rating, names in ratings.items():
        assert names == [TARGETS[name].ratings[rating] for name in ("pony", "illustrious", "noobai")]
        assert TARGETS["anima"].ratings[rating] == names[2]


def test_the_page_says_which_negative_prompts_count():
    told = rows("target | counts")
    assert set(told) == set(TARGET_NAMES)
    for name, (counts, *words) in told.items():
        assert counts.startswith("no") != TARGETS[name].negative
        publishers = ", ".join(TARGETS[name].negative_words)
        assert words == [publishers] if publishers else ", " not in words[0]


def test_the_page_has_each_order():
    told = rows("target | order")
    names = {"copyright": "series", "general": "all else"}
    for target in TARGETS.values():
        order = ", ".join(names.get(group, group) for group in target.grammar)
        assert told.get(target.name, told["all others"])[0] == order.removeprefix("" if target.quality else "quality, ")


def test_the_page_names_a_source_for_each():
    assert set(rows("target | what")) - {""} == set(TARGET_NAMES)
