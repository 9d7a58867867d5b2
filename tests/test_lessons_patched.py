"""What one's own pictures taught serves a text encoder with LoRAs as well."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from patched_towers import patched
from unrender.core.embed import family_maps
from unrender.core.embed.correcting import CORRECTION
from unrender.core.embed.families import MICRO_FAMILY
from unrender.core.embed.family_maps import FamilyMaps
from unrender.core.embed.gap import GapCorrection, shipped_gap
from unrender.core.embed.lesson import KEPT, kept_lesson
from unrender.core.embed.ridge import RidgeFit
from unrender.core.embed.text_side import TextSide
from unrender.core.engine import Engine
from unrender.core.micro.captions import ALL_FACTORS, caption
from unrender.core.micro.pictures import render
from unrender.core.phrases.composed import composed_prompts

pytest_plugins = ["embed_fixtures"]


@pytest.fixture(scope="module", autouse=True)
def fewer_texts():
    """Than thousands, of which the maps are learned."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RidgeFit.__init__, "__defaults__", (1000, *RidgeFit.__init__.__defaults__[1:]))
        yield


@pytest.fixture(scope="module")
def lessons(engine):
    """Pictures and what is said of them, to learn from; and others."""
    shown, words = [], []
    for split, count in (("validation", 160), ("test", 60)):
        pictures, chance = render(split, count), random.Random(split)
        shown.append(engine.picture_features([each.permute(1, 2, 0).numpy() for each in pictures.pixels]))
        words.append([caption(scene, chance, ALL_FACTORS).text for scene in pictures.scenes])
    return shown[0], words[0], shown[1]


@pytest.fixture(scope="module")
def own(engine):
    engine.text_features(["micro"])
    return TextSide.of(engine.clip)


def with_lora(own, engine, moved=0.12):
    texts = composed_prompts(engine.read_vocabulary(), 40)
    return patched(own, moved, lambda side: side.states(texts)[0][0])


@pytest.fixture
def maps(engine, tmp_path):
    def maps(side: TextSide, folder=tmp_path / "embed") -> FamilyMaps:
        return FamilyMaps(engine.clip, MICRO_FAMILY, {"micro": side}, engine.read_vocabulary, folder)

    return maps


@pytest.mark.parametrize("moved", [0.2, *(pytest.param(each, marks=pytest.mark.full) for each in (0.06, 0.12))])
def test_it_comes_near_what_the_encoder_with_loras_learns_itself(engine, own, maps, lessons, tmp_path, moved):
    """Of pictures that taught nothing, as a share of how far their states are apart: the figures in lesson.py."""
    features, prompts, others = lessons
    side = with_lora(own, engine, moved)
    itself = maps(replace(side, plain=None), tmp_path / "other")
    itself.learn(features, prompts)
    maps(own).learn(features, prompts)
    wanted = itself.from_pictures["micro"].states(others)
    lesson = maps(own).from_pictures["micro"]
    corrected = maps(side).from_pictures["micro"]
    ridge = maps(side).from_texts["micro"]

    def off(states) -> float:
        return float((states - wanted).norm() / (wanted - wanted.mean(dim=0)).norm())

    gap = GapCorrection(lesson.centre, lesson.spread, len(features))
    by_texts = ridge.states(others, gap) - maps(own).from_texts["micro"].states(others, gap)
    found, taken = off(corrected.states(others)), off(lesson.states(others))
    composed, without = off(lesson.states(others) + by_texts), off(ridge.states(others, shipped_gap("micro")))
    assert found < 0.4 * composed and composed < taken < 0.3 * without, (found, composed, taken, without)


def test_a_change_of_strength_reads_a_few_prompts_and_keeps_little(engine, own, maps, lessons, tmp_path, monkeypatch):
    maps(own).learn(*lessons[:2])
    before = {path.name for path in (tmp_path / "embed").iterdir()}
    read, true = [], TextSide.states

    def counted(side, texts, *rest):
        read.append(len(texts))
        return true(side, texts, *rest)

    monkeypatch.setattr(TextSide, "states", counted)
    side = with_lora(own, engine)
    read.clear()
    first = maps(side).from_pictures["micro"]
    assert sum(read) == 2 * (CORRECTION.prompts + KEPT), "with the LoRA and without"
    more = [path for path in (tmp_path / "embed").iterdir() if path.name not in before]
    assert len(more) == 2 and all(path.name.startswith("correction-") for path in more), "which are pruned"
    (learned,) = (tmp_path / "embed").glob("learned-*")
    assert max(path.stat().st_size for path in more) < learned.stat().st_size / 2
    read.clear()
    again = maps(side).from_pictures["micro"]
    assert torch.equal(again.states(lessons[2]), first.states(lessons[2])) and not read, "it is known"
    maps(own).learn(*(each[:50] for each in lessons[:2]))
    read.clear()
    assert maps(side).from_pictures and sum(read) == 2 * 50, "of the pictures that the encoder without has learned from"


def test_what_the_encoder_with_loras_has_learned_itself_wins(engine, own, maps, lessons):
    features, prompts, others = lessons
    side = with_lora(own, engine)
    maps(own).learn(features, prompts)
    known = maps(side)
    corrected = known.from_pictures["micro"].states(others)
    known.learn(features[:50], prompts[:50])
    itself = known.from_pictures["micro"].states(others)
    assert not torch.allclose(itself, corrected, atol=0.05)
    assert torch.equal(itself, maps(replace(side, plain=None)).from_pictures["micro"].states(others))


def test_a_lesson_from_before_pictures_were_kept_is_taken_as_it_is(engine, own, maps, lessons, tmp_path, monkeypatch):
    maps(own).learn(*lessons[:2])
    side = with_lora(own, engine)
    monkeypatch.setattr(
        family_maps, "kept_lesson", lambda *place: (found := kept_lesson(*place)) and replace(found, examples=None)
    )
    plain = maps(own).from_pictures["micro"]
    assert torch.equal(maps(side).from_pictures["micro"].states(lessons[2]), plain.states(lessons[2]))


def test_without_a_lesson_there_is_none(engine, own, maps, lessons, tmp_path):
    assert not maps(with_lora(own, engine)).from_pictures


def test_ridge_through_a_checkpoint_with_loras_goes_by_it(engine, own, maps, lessons, tmp_path):
    side = with_lora(own, engine)
    maps(own).learn(*lessons[:2])
    with Engine(replace(engine.settings, cache=tmp_path)) as other:
        picture = render("test", 1).pixels[0].permute(1, 2, 0).numpy()
        found = other.embed(picture, "micro", "ridge", encoders={"micro": side})
    wanted = maps(side).from_pictures["micro"].states(lessons[2][:1])[0]
    assert torch.allclose(found.states, wanted, atol=1e-3) and found.gap_corrected
