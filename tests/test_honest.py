"""The honest search: on micro's pictures, whose truth is known, and part by part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from unrender.core.engine import Engine
from unrender.core.evidence.bank import Bank
from unrender.core.evidence.likelihoods import Answer
from unrender.core.micro import FAMILIES_FOLDER
from unrender.core.micro.pictures import Pictures, render
from unrender.core.phrases.families import Claims, Concept, Family, read_families
from unrender.core.prompt.honest.correcting import corrected
from unrender.core.prompt.honest.said import Said
from unrender.core.prompt.honest.settling import settled
from unrender.core.settings import Settings

FAMILIES = read_families(FAMILIES_FOLDER)
CLAIMS = Claims(FAMILIES)
PICTURES = 60


def images_of(pictures: Pictures) -> list[Image.Image]:
    return [Image.fromarray(pixels.permute(1, 2, 0).numpy()) for pixels in pictures.pixels]


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    return render("validation", PICTURES)


@pytest.fixture(scope="module")
def found(pictures, tmp_path_factory):
    """By search, what is found of the same pictures."""
    cache = tmp_path_factory.mktemp("cache")

    def of(search):
        settings = Settings(clip="micro", captioner="micro", device="cpu", search=search, cache=cache)
        with Engine(settings) as engine:
            return list(engine.interrogate_each(images_of(pictures)))

    return {search: of(search) for search in ("honest", "peer")}


def stated(prompt: str) -> dict[str, set[str]]:
    values: dict[str, set[str]] = {}
    for claim in CLAIMS.read(prompt):
        values.setdefault(claim.family.name, set()).add(claim.concept.name)
    return values


def test_what_it_says_is_true_and_said_once(pictures, found):
    truths, lies = {}, {}
    for search, results in found.items():
        said = [
            (value in scene_values, len(values))
            for scene, result in zip(pictures.scenes, results, strict=True)
            for factor, values in stated(result.prompt).items()
            for value in values
            for scene_values in [{scene.value(factor)}]
        ]
        truths[search] = np.mean([true for true, _ in said])
        lies[search] = sum(count > 1 for _, count in said)
    assert truths["honest"] > 0.95 > truths["peer"] + 0.05
    assert lies["honest"] == 0 < lies["peer"]


def test_it_says_all_that_the_families_ask_in_fewer_words(found):
    honest, peer = (found[search] for search in ("honest", "peer"))
    assert np.mean([len(stated(each.prompt)) for each in honest]) == len(FAMILIES)
    assert sum(len(each.prompt.split()) for each in honest) < 0.6 * sum(len(each.prompt.split()) for each in peer)


def test_each_phrase_tells_how_sure_it_is(found):
    for result in found["honest"]:
        assert result.search == "honest"
        assert result.bank
        assert sum(phrase.gain for phrase in result.phrases) == pytest.approx(result.similarity, abs=1e-5)
        for phrase in result.phrases[1:]:
            assert phrase.family == phrase.category
            assert phrase.likelihood is not None and phrase.support is not None
            assert 0.5 <= phrase.likelihood <= 1
        for rejected in result.rejected:
            assert rejected.text


def test_the_peers_search_stays_as_it_is(found):
    assert all(each.search == "peer" and not each.bank and not each.rejected for each in found["peer"])


def test_one_picture_a_batch_and_a_second_run_agree(pictures, found, tmp_path):
    settings = Settings(clip="micro", captioner="micro", device="cpu", cache=tmp_path)
    with Engine(settings) as engine:
        alone = [engine.interrogate(picture) for picture in images_of(pictures)[:6]]
    assert [each.prompt for each in alone] == [each.prompt for each in found["honest"][:6]]


def test_what_is_pinned_is_said_and_what_is_banned_is_not(pictures, found, tmp_path):
    usual = found["honest"][0]
    artist = next(phrase for phrase in usual.phrases if phrase.family == "artist")
    settings = Settings(
        clip="micro",
        captioner="micro",
        device="cpu",
        cache=tmp_path,
        pinned=("by odo kell",),
        exclude=(artist.text,),
    )
    with Engine(settings) as engine:
        prompt = engine.interrogate(images_of(pictures)[0]).prompt
    assert "by odo kell" in prompt
    assert artist.text not in prompt
    assert stated(prompt)["artist"] == {"odo"}


def test_a_pinned_concept_takes_the_place_of_the_captions(pictures, found, tmp_path):
    usual = found["honest"][0]
    [shape] = stated(usual.caption)["shape"]
    pinned = next(
        each for family in FAMILIES if family.name == "shape" for each in family.concepts if each.name != shape
    )
    settings = Settings(
        clip="micro", captioner="micro", device="cpu", cache=tmp_path, pinned=(pinned.wordings[0], "8k")
    )
    with Engine(settings) as engine:
        result = engine.interrogate(images_of(pictures)[0])
    assert stated(result.prompt)["shape"] == {pinned.name} and "8k" in result.prompt.split(", ")
    [changed] = [each for each in result.rejected if each.reason == "corrected" and each.category == "shape"]
    assert stated(changed.text)["shape"] == {shape} and changed.against == pinned.wordings[0]
    assert changed.likelihood is not None
    assert pinned.wordings[0] not in result.prompt.split(", "), "it is said in the caption"


def test_a_caption_tells_the_words_that_its_runner_up_stands_for(found):
    offered = [phrase for each in found["honest"] for phrase in each.phrases if phrase.instead_of]
    assert offered
    for phrase in offered:
        assert phrase.category == "caption" and phrase.instead_of in phrase.text.lower() and phrase.runner_up


@pytest.mark.parametrize(("limits", "gone"), [({"artists": 0}, "artist"), ({"flavors": 0}, "layout")])
def test_a_category_that_is_left_out_takes_its_families_with_it(pictures, tmp_path, limits, gone):
    settings = Settings(clip="micro", captioner=None, device="cpu", cache=tmp_path, limits=limits)
    with Engine(settings) as engine:
        usual = Engine(replace(settings, limits={})).interrogate(images_of(pictures)[0])
        found = engine.interrogate(images_of(pictures)[0])
    assert gone in stated(usual.prompt)
    assert gone not in stated(found.prompt)
    assert "style" in stated(found.prompt)


def test_a_prompt_keeps_to_its_room(pictures, tmp_path):
    settings = Settings(clip="micro", captioner="micro", device="cpu", cache=tmp_path, token_limit=14, suffix="8k")
    with Engine(settings) as engine:
        for result in engine.interrogate_each(images_of(pictures)[:10]):
            assert engine.clip is not None
            assert engine.clip.text.length(result.prompt) <= 14
            assert result.prompt.endswith("8k")


def test_nothing_is_left_to_say_without_a_caption_but_what_is_seen(pictures, tmp_path):
    settings = Settings(clip="micro", captioner=None, device="cpu", cache=tmp_path)
    with Engine(settings) as engine:
        result = engine.interrogate(images_of(pictures)[0])
    assert stated(result.prompt)["colour"] == {pictures.scenes[0].colour}


def family(name: str, excludes: bool, **concepts: tuple[str, ...]) -> Family:
    return Family(name, "", excludes, True, tuple(Concept(each, words) for each, words in concepts.items()))


COLOUR = family("colour", True, red=("red", "scarlet"), orange=("orange", "tangerine"))
THING = family("thing", True, ball=("ball", "round ball"), box=("box", "crate"))
FRUIT = family("fruit", True, orange=("orange",), apple=("apple",))
MATERIAL = family("material", False, wood=("wooden",), steel=("steel",))


def answer(of: Family, likelihoods: list[float], claimed: tuple[int, ...]) -> Answer:
    return Answer(of, np.array(likelihoods), np.zeros(len(likelihoods)), claimed)


def change(caption: str, *answers: Answer) -> str:
    claims = Claims([each.family for each in answers])
    named = {each.family.name: each for each in answers}
    return corrected(caption, named, claims, lambda texts: 0, lambda concept: True).text


def test_a_word_that_is_surely_wrong_is_changed():
    sure = answer(COLOUR, [0.1, 0.9], (0,))
    assert change("a red ball and a red box", sure) == "an orange ball and an orange box"
    assert change("Red balls", sure) == "orange balls"
    assert change("a red ball", answer(COLOUR, [0.45, 0.55], (0,))) == "a red ball"


def test_the_plural_stays_one():
    boxes = answer(THING, [0.05, 0.95], (0,))
    assert change("two balls on a table", boxes) == "two boxes on a table"
    assert change("a round ball", boxes) == "a box"


def settle(text: str, *pinned: str) -> str:
    found = settled(text, pinned, Claims([COLOUR, THING, MATERIAL, FRUIT]))
    assert bool(found.changes) == (found.text != text)
    return found.text


def test_what_is_pinned_is_said_in_the_captions_words():
    assert settle("a round ball on grass, box, 8k", "box", "8k") == "a box on grass, 8k"
    assert settle("two Balls, a crate", "a crate") == "two crates"
    assert settle("a ball, boxes", "boxes") == "a box", "the caption's number stays"
    assert settle("a ball, a box of toys", "a box of toys") == "a box, a box of toys", "which says more"


def test_what_is_pinned_leaves_the_caption_where_it_settles_nothing():
    for text, pinned in (
        ("a ball and a box, crate", ("crate",)),  # it names several
        ("a crate, box", ("box",)),  # it says the same already
        ("a ball, box, round ball", ("box", "round ball")),  # the person says both
        ("a wooden thing, steel", ("steel",)),  # one does not rule out the other
        ("a red apple, orange", ("orange",)),  # the fruit, or the colour
        ("box", ("box",)),
        ("", ("box",)),
        ("a ball", ()),
    ):
        assert settle(text, *pinned) == text


def test_what_a_picture_may_hold_two_of_is_never_changed():
    assert change("a wooden box", answer(MATERIAL, [0.01, 0.99], (0,))) == "a wooden box"
    assert (
        change("a red ball and an orange box", answer(COLOUR, [0.01, 0.99], (0, 1))) == "a red ball and an orange box"
    )


def test_what_clashes():
    said = Said(Claims([COLOUR, MATERIAL]), "a scarlet wooden ball")
    assert said.clash("orange").reason == "contradicts"
    assert said.clash("red").reason == "repeats"
    assert said.clash("a ball").reason == "repeats"
    assert said.clash("steel") is None
    assert said.clash("8k") is None


@given(st.lists(st.sampled_from([word for each in FAMILIES for word in each.wordings]), max_size=8))
def test_a_phrase_never_clashes_with_nothing_and_always_with_itself(phrases):
    said = Said(CLAIMS, "")
    for phrase in phrases:
        assert said.clash(phrase) is None
        assert Said(CLAIMS, phrase).clash(phrase).reason == "repeats"


def test_a_bank_comes_back_as_it_was(tmp_path, clip):
    features = torch.nn.functional.normalize(torch.randn(50, 48, generator=torch.Generator().manual_seed(0)), dim=-1)
    bank = Bank.of_pictures("photographs", features, clip)
    bank.save(tmp_path / "bank.safetensors")
    again = Bank.load(tmp_path / "bank.safetensors")
    assert again.told == "photographs, 50 pictures"
    assert torch.equal(again.mean, bank.mean)
    assert torch.equal(again.covariance, bank.covariance)
    assert again.trust == bank.trust
