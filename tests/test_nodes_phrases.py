"""What Interrogate Picture says of a prompt's phrases: its table, its JSON, and what the page makes chips of."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from comfyui_graphs import INTERROGATE, MICRO
from nodes_setting import as_batch, models_fixture, server_fixture  # noqa: F401
from unrender.core.micro.drawing import draw
from unrender.core.micro.world import random_scene
from unrender.core.results import Interrogation, PhraseGain, Rejected
from unrender.core.settings import USUAL_SEARCH

CAPTION = PhraseGain("a square", "caption", 0.2)
RED = PhraseGain("red", "colour", 0.05, 0.6, 2.5, "colour", "orange")
NIGHT = Rejected("at night", "light", "contradicts", 0.31, 1.0, against="at noon")
FOUND = Interrogation("(sks, a square, red, 8k", 0.25, "best", "a square", (CAPTION, RED), "micro", 1.0)


@pytest.fixture(scope="module")
def pictures():
    return [draw(random_scene(random.Random(seed), "validation"), seed).picture for seed in range(2)]


def interrogated(pictures, search="honest", **values):
    from unrender.nodes.interrogate import Interrogate
    from unrender.nodes.loading import LoadInterrogator

    setup = LoadInterrogator.execute(**{**MICRO, "search": search}).args[0]
    words = {name: [value] for name, value in {**INTERROGATE, **values}.items()}
    return Interrogate.execute(image=[as_batch(pictures)], interrogator=[setup], **words)


def test_the_table_says_what_each_phrase_brings_and_why_others_were_left_out():
    from unrender.nodes.phrases_found import phrase_table

    lines = phrase_table(replace(FOUND, search="honest", bank="my pictures", rejected=(NIGHT,))).splitlines()
    assert lines[:2] == ["search: honest", "compared with: my pictures"]
    assert lines[4].split() == ["+0.200", "a", "square"]
    assert lines[5].split("  ")[-1] == "red (colour, or orange)" and "60.0%" in lines[5] and "2.5" in lines[5]
    assert lines[-2:] == ["left out:", 'at night: contradicts "at noon" (31.0% likely)']
    doubted = replace(CAPTION, family="shape", runner_up="disc", instead_of="square")
    assert 'a square (shape, or disc in place of "square")' in phrase_table(replace(FOUND, phrases=(doubted,)))
    assert phrase_table(replace(FOUND, phrases=())) == "", "tags have no phrases"


def test_the_prompt_without_each_phrase_keeps_what_is_around_it():
    from unrender.nodes.phrases_found import texts_without

    assert texts_without(FOUND) == ["(sks, red, 8k", "(sks, a square, 8k"]
    assert texts_without(replace(FOUND, phrases=(CAPTION,))) == []
    assert texts_without(replace(FOUND, prompt="other words")) == []


@pytest.mark.parametrize("search", ["honest", "peer"])
def test_a_run_tells_of_its_phrases(models, server, pictures, search):
    out = interrogated(pictures, search)
    prompts, similarities, _, tables, texts = out.args
    assert len(out.ui["unrender_phrases"]) == len(tables) == len(pictures)
    for prompt, similarity, told, table, text in zip(
        prompts, similarities, out.ui["unrender_phrases"], tables, texts, strict=True
    ):
        assert json.loads(text)["search"] == told["search"] == search and f"search: {search}" in table
        assert told["similarity"] == pytest.approx(similarity, abs=1e-4)
        for phrase in told["phrases"]:
            assert phrase["text"] in prompt and f"  {phrase['text']}" in table
            assert -1 <= phrase["without"] <= 1
        last = told["phrases"][-1]
        assert last["without"] == pytest.approx(similarity - last["gain"], abs=2e-4), "nothing follows it"
        assert json.dumps(told, allow_nan=False)
    honest, told = search == "honest", out.ui["unrender_phrases"][-1]
    assert any(phrase["likelihood"] is not None for phrase in told["phrases"]) == honest
    assert bool(told["rejected"]) == honest and all(each["why"] for each in told["rejected"])


def test_a_phrase_is_left_out_or_insisted_on(models, server, pictures):
    first = interrogated(pictures[:1])
    dropped = first.ui["unrender_phrases"][0]["phrases"][-1]["text"]
    then = interrogated(pictures[:1], exclude=dropped, pin='in a cave, "on the moon, at last"')
    [prompt] = then.args[0]
    assert dropped not in prompt.split(", ") and "in a cave, on the moon, at last" in prompt


def test_what_is_not_searched_is_not_weighed_and_needs_no_clip(models, server, pictures):
    [told] = interrogated(pictures[:1], mode="caption").ui["unrender_phrases"]
    assert [phrase["without"] for phrase in told["phrases"]] == [None]
    out = interrogated(pictures, mode="fast", max_phrases=1)
    assert all(phrase["without"] is not None for told in out.ui["unrender_phrases"] for phrase in told["phrases"])


def test_of_many_pictures_the_first_have_chips(models, server, pictures):
    from unrender.nodes.phrases_found import MOST_SHOWN

    out = interrogated(pictures[:1] * (MOST_SHOWN + 1), mode="fast")
    assert len(out.args[0]) == MOST_SHOWN + 1 and len(out.ui["unrender_phrases"]) == MOST_SHOWN


def test_texts_for_the_page_are_cut_and_steer_nothing():
    from unrender.nodes.phrases_found import shown_phrases

    [told] = shown_phrases([(replace(FOUND, phrases=(replace(RED, text="a\u202eb" + "c" * 1000),)), ())])
    [phrase] = told["phrases"]
    assert "\u202e" not in phrase["text"] and len(phrase["text"]) < 420 and phrase["without"] is None


def test_a_search_that_a_workflow_names_stays_and_a_new_loader_has_the_usual_one():
    from comfyui_nodes import node_schemas

    for node in ("UnrenderLoadInterrogator", "UnrenderInterrogatorFromClip"):
        (search,) = [each for each in node_schemas()[node].inputs if each.id == "search"]
        assert search.default == USUAL_SEARCH and "peer" in search.options


def test_an_analysis_says_by_family_what_is_sure_and_what_is_not(models, server, pictures):
    from unrender.nodes.loading import LoadInterrogator
    from unrender.nodes.study import Analyze

    setup = LoadInterrogator.execute(**MICRO).args[0]
    out = Analyze.execute(as_batch(pictures[:1]), "", 3, False, setup)
    [table], [text] = out.args[:2]
    families = json.loads(text)["families"]
    assert {"shape", "colour"} <= {each["family"] for each in families}
    sure = [each for each in families if each["top"][0]["likelihood"] > 0.5]
    _, told = table.split("by family (likelihood, support)\n")
    lines = told.splitlines()
    for each, line in zip(sure, lines, strict=False):
        assert f"{each['family']}: {each['top'][0]['wording']}" in line
    assert ("not sure: " in told) == (len(sure) < len(families))
    named = Analyze.execute(as_batch(pictures[:1]), "artists", 3, False, setup)
    assert "by family" not in named.args[0][0]
