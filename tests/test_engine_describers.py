"""Several describers in one engine: tags as a prompt and beside a caption, and the CLIP as judge over captions."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch
from describers_saying import MICRO, TAGS, Describing, Saying, Tagging, colour_of, picture
from unrender.core.describe.asked import DRAWN_AT
from unrender.core.engine import Engine, Settings
from unrender.core.errors import ModelError, SettingsError
from unrender.core.prompt.tag_texts import tokens
from unrender.core.published import USUAL_TAGGER
from unrender.core.settings import CaptionSettings, TagSettings


@pytest.fixture
def log():
    return []


def engine(log, *describers, clip=None, **values):
    known = {each.name: each for each in (Saying("words", log), Tagging("tags", log), *describers)}
    return Engine(Settings(**{**MICRO, "captioner": "words", **values}), load_describer=lambda name, _: known[name])


# --- tags as a prompt


def test_tags_are_a_prompt_without_a_clip(log, monkeypatch):
    from unrender.core.clip import Clip

    monkeypatch.setattr(Clip, "load", lambda *_, **__: pytest.fail("a CLIP was loaded"))
    asked = engine(log, tagger="tags", prefix="masterpiece")
    found = asked.interrogate(picture(), "tags")
    assert found.prompt == "masterpiece, 1girl, red hair, smile" and found.similarity is None
    assert found.caption == "" and found.model == "tags" and [tag.name for tag in found.tags][-1] == "general"
    each = list(asked.interrogate_each([picture(), picture("blue")], "tags"))
    assert [one.prompt for one in each] == [found.prompt, "masterpiece, 1girl, blue hair"]
    assert not any(who == "words" for who, *_ in log), "nobody is asked for a caption"


def test_tags_are_cut_between_two(log):
    prompts = [
        engine(log, tagger="tags", token_limit=limit).interrogate(picture(), "tags").prompt for limit in range(5, 12)
    ]
    whole = ", ".join(TAGS["red"])
    assert {prompt.count(",") for prompt in prompts} == {0, 1, 2} and prompts[-1] == whole
    assert all(prompt.split(", ") == list(TAGS["red"][: prompt.count(",") + 1]) for prompt in prompts)
    with pytest.raises(SettingsError, match="no room for a tag"):
        engine(log, tagger="tags", token_limit=3).interrogate(picture(), "tags")


def test_several_pictures_share_their_tags(log):
    asked = engine(log, tagger="tags")
    found = asked.interrogate_together([picture(), picture("blue")], "tags")
    assert found.prompt == "1girl" and [tag.name for tag in found.tags] == ["1girl", "general"]


@pytest.mark.parametrize(
    "values, expected",
    [
        ({"tagger": "one", "captioner": "other"}, "one"),
        ({"clip": "micro"}, "micro-tagger"),
        ({"clip": "ViT-L-14/openai"}, USUAL_TAGGER),
        ({"clip": "ViT-L-14/openai", "captioner": "blip-base"}, USUAL_TAGGER),
    ],
)
def test_whose_tags_they_are(values, expected):
    from unrender.core.describe.asked import tagger_of

    assert tagger_of(Settings(**values), "tags") == expected
    assert tagger_of(Settings(**values), "best") == values.get("tagger")
    assert tagger_of(Settings(**values), "negative") is None


# --- tags beside a caption, and as one


@pytest.mark.parametrize("mode", ["best", "fast", "classic", "caption"])
def test_tags_follow_the_caption(log, mode):
    found = engine(log, tagger="tags").interrogate(picture(), mode)
    told = found.prompt.partition(", 1girl, red hair, smile")[0]
    assert found.caption == "a red circle" and (told == "a red circle" or mode == "best")  # which may correct it
    assert [tag.name for tag in found.tags] == ["1girl", "red_hair", "smile", "general"]
    assert found.similarity is not None and found.contenders == ()


def test_tags_follow_a_given_caption(log):
    found = engine(log, tagger="tags").interrogate(picture(), "caption", "a full sentence.")
    assert found.prompt == "a full sentence, 1girl, red hair, smile" and found.caption == "a full sentence."


def test_a_tagger_as_the_captioner(log):
    for also in ({}, {"tagger": "tags"}):
        found = engine(log, captioner="tags", **also).interrogate(picture(), "caption")
        assert found.prompt == "1girl, red hair, smile" and len(found.tags) == 4


# --- the judge


def test_the_nearest_of_several_captions_is_taken(log):
    rival, absent = (
        Saying("true", log, "a drawing of a {colour} square"),
        Saying("false", log, "an index of stock prices"),
    )
    asked = engine(log, rival, absent, captioner="false", rivals=("true", "words"))
    image = picture()
    found = asked.interrogate(image, "caption")
    assert {each.describer for each in found.contenders} == {"false", "true", "words"}
    values = [each.similarity for each in found.contenders]
    assert values == sorted(values, reverse=True) and found.caption == found.contenders[0].text
    features = asked.picture_features(image)[0]
    for each in found.contenders:
        alone = float(asked.text_features([each.text])[0] @ features)
        assert each.similarity == pytest.approx(alone, abs=1e-5)
    best = asked.interrogate(image, "best")
    assert best.contenders == found.contenders and best.caption == found.caption
    assert best.similarity is not None and best.similarity >= found.contenders[0].similarity - 1e-5


def test_candidates_are_drawn_by_seeds_that_follow_each_other(log):
    asked = engine(log, rivals=("tags",), candidates=3, captioning=CaptionSettings(seed=5))
    found = asked.interrogate(picture(), "caption")
    assert {(each.describer, each.seed) for each in found.contenders} == {
        *(("words", seed) for seed in (5, 6, 7)),
        ("tags", 5),
    }, "a tagger draws nothing, so it is asked once"
    assert DRAWN_AT > 0 and sum(entry == ("tags", "describes", 1) for entry in log) == 1


def test_equal_texts_are_one_and_the_first_ones(log):
    asked = engine(log, Saying("twin", log), rivals=("twin",))
    (only,) = asked.interrogate(picture(), "caption").contenders
    assert only.describer == "words"


def test_each_picture_has_its_own_judgement(log):
    asked = engine(log, Saying("true", log, "a {colour} square"), rivals=("true",))
    pictures = [picture(), picture("blue"), picture()]
    together = list(asked.interrogate_each(pictures, "caption"))
    alone = [asked.interrogate(each, "caption") for each in pictures]
    for found, expected in zip(together, alone, strict=True):
        assert [each.text for each in found.contenders] == [each.text for each in expected.contenders]
        values = [each.similarity for each in expected.contenders]
        assert [each.similarity for each in found.contenders] == pytest.approx(values, abs=1e-6)


def test_one_caption_for_several_pictures(log):
    asked = engine(log, Saying("true", log, "a {colour} square"), rivals=("true",))
    found = asked.interrogate_together([picture(), picture("blue")], "caption")
    assert len(found.contenders) == 4 and found.prompt == found.contenders[0].text


def test_a_long_text_counts_with_all_its_sentences():
    from unrender.core.clip import Clip
    from unrender.core.describe.together import Written
    from unrender.core.prompt.judging import judged, parts_of

    clip = Clip.load("micro", "cpu", "exact")
    length, limit = clip.text.length, clip.text.context_length
    sentence = "a red circle on a blue ground with stripes."
    other = "a green square on a plain ground, in pencil."
    long = " ".join([sentence, other] * limit)
    parts = parts_of(long, length, limit)
    assert len(parts) > 2 and " ".join(parts) == long
    assert all(part.endswith(".") and length(part) <= limit for part in parts)
    features = torch.nn.functional.normalize(torch.randn(clip.encode_texts([""]).shape[-1]), dim=0)
    (found,) = judged(clip, features, [Written(long, "one", 0)])
    values = (clip.encode_texts(parts) @ features).numpy()
    weights = np.array([length(part) - length("") for part in parts])
    assert found.similarity == pytest.approx(float((values * weights).sum() / weights.sum()), abs=1e-5)
    order = judged(clip, features, [Written("", "none", 0), Written(long, "one", 0)])
    assert [each.text for each in order] == [long, ""], "nothing is no caption, whatever it is like"


# --- one pass, each once on the device


def test_each_describer_has_one_turn_and_pictures_are_not_held(log, monkeypatch):
    from unrender.core import devices

    monkeypatch.setattr(devices, "pick_device", lambda name: torch.device("meta"))
    asked = engine(log, tagger="tags")
    alive, most = [], []

    def pictures():
        for number in range(24):
            image = picture("red" if number % 2 else "blue")
            alive.append(weakref.ref(image))
            yield image
            del image
            most.append(sum(each() is not None for each in alive))

    words = asked._models.words(pictures(), "caption", None)
    assert len(words) == 24 and max(most) == 0
    turns = [entry for entry in log if entry[1] != "sees"]
    assert turns == [
        *(("words", "meta"), ("words", "describes", 24), ("words", "cpu")),
        *(("tags", "meta"), ("tags", "describes", 24), ("tags", "cpu")),
    ]


def test_what_is_held_of_pictures_is_bounded(log, monkeypatch):
    from unrender.core.describe import together

    monkeypatch.setattr(together, "MOST_HELD", 5 * 32 * 32 * 3)
    asked = engine(log, Describing("plain"), captioner="plain", rivals=("words",))
    pictures = [picture("red" if number % 2 else "blue") for number in range(12)]
    words = asked._models.words(iter(pictures), "caption", None)
    assert [each.captions[0].text for each in words] == [f"one {colour_of(each)} thing" for each in pictures]
    assert [entry[2] for entry in log if entry[1] == "describes"] == [5, 5, 2]


# --- refused first


@pytest.mark.parametrize("values", [{"captioner": "nonsense"}, {"tagger": "nonsense"}, {"rivals": ("nonsense",)}])
def test_an_unknown_name_is_refused_before_anything_is_loaded(values, monkeypatch):
    from unrender.core.clip import Clip

    monkeypatch.setattr(Clip, "load", lambda *_, **__: pytest.fail("a CLIP was loaded"))
    with pytest.raises(ModelError, match="nonsense"):
        Engine(Settings(**{**MICRO, "captioner": None, **values})).interrogate(picture(), "best")


def test_rivals_alone_write_captions(log):
    assert engine(log, captioner=None, rivals=("words",)).interrogate(picture(), "caption").caption == "a red circle"
    with pytest.raises(SettingsError, match="no caption"):
        engine(log, captioner=None, tagger="tags").interrogate(picture(), "caption")


def test_tag_settings_reach_the_tagger(log):
    class Noting(Tagging):
        def describe_seen(self, seen, settings=None, progress=None):
            noted.append(settings)
            return super().describe_seen(seen, settings, progress)

    noted: list[CaptionSettings] = []
    captioning = CaptionSettings(instruction="a photo of", tags=TagSettings(general=0.2))
    engine(log, Noting("noting", log), tagger="noting", captioning=captioning).interrogate(picture(), "tags")
    assert noted[0].tags.general == 0.2 and noted[0].style == "tags" and not noted[0].instruction


TAG_NAMES = (
    *("1girl", "solo", "long hair", "looking at viewer", "open mouth", "hair ornament", "simple background", "ahoge"),
    *("school uniform", "thighhighs", ":d", "^_^", "absurdres", "pleated skirt", "zettai ryouiki", "score_8_up"),
    *("hatsune miku", "artoria pendragon (fate)", "souryuu asuka langley", "japanese clothes", "fingerless gloves"),
    *("animal ears", "depth of field", "masterpiece", "rating_safe", "2boys", "detached sleeves", "navel", "obi"),
)


def test_tokens_are_told_without_a_vocabulary_about_as_clip_counts_them():
    tokenizer = pytest.importorskip("open_clip.tokenizer", reason="open_clip has CLIP's tokenizer").SimpleTokenizer()
    random = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        text = ", ".join(random.choice(TAG_NAMES, 20, replace=False))
        shares.append(tokens(text) / (len(tokenizer.encode(text)) + 2))
    assert min(shares) > 0.95 and max(shares) < 1.35 and np.mean(shares) > 1
