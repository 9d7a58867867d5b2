"""The searches beside each other: what is said of their prompts without the truth, and which is remembered."""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from unrender.cli.verify import _searches
from unrender.core.engine import Engine
from unrender.core.errors import SettingsError
from unrender.core.micro.pictures import render
from unrender.core.prompt.recommended import recommend_search, usual_search
from unrender.core.settings import USUAL_SEARCH, Settings
from unrender.core.verify.notes import Notes
from unrender.core.verify.report import as_lines, as_values
from unrender.core.verify.searches import Compared, _counted, compare_searches, recommended_of


@pytest.fixture(scope="module")
def micro(tmp_path_factory):
    settings = Settings(clip="micro", captioner=None, device="cpu", cache=tmp_path_factory.mktemp("cache"))
    with Engine(settings) as engine:
        yield engine


@pytest.fixture(scope="module")
def picture():
    """Three red crosses at night, in watercolour."""
    return Image.fromarray(render("test", 1).pixels[0].permute(1, 2, 0).numpy())


@pytest.mark.parametrize(
    ("prompt", "counted"),
    [
        ("a watercolor of three red cross shapes at night", (0, 0, 0)),
        ("three red cross shapes, red", (0, 0, 1)),
        ("red, blue", (0.5, 1, 0)),
        ("blue, blue, green, by mira sol", (1, 1, 1)),
        ("something no family knows", (0, 0, 0)),
    ],
)
def test_what_a_prompt_states_is_counted(micro, picture, prompt, counted):
    (features,) = micro.picture_features([picture])
    assert _counted(prompt, features, micro.evidence()) == counted


def test_the_honest_search_says_less_that_is_unlikely(micro, picture):
    found = compare_searches(micro, [picture, picture.rotate(180)], ("honest", "peer"))
    honest, peer = found.searched["honest"], found.searched["peer"]
    assert honest.unlikely.mean <= peer.unlikely.mean
    assert honest.contradictions.mean == 0 < peer.contradictions.mean
    assert found.prompts["peer"][0] == micro.searching("peer").interrogate(picture).prompt
    lines, values = as_lines([], found), as_values([], None, found)
    assert [line.split()[0] for line in lines if line] == ["search", "honest", "peer"]
    assert values["searches"]["peer"]["prompts"] == list(peer.prompts)


def test_a_search_that_cannot_be_run_is_told(micro, picture, monkeypatch):
    def refuse(search):
        raise SettingsError("It cannot write", "give another")

    monkeypatch.setattr(micro, "searching", refuse)
    found = compare_searches(micro, [picture], ("written",))
    assert found == Compared({}, {"written": "It cannot write"})
    assert as_lines([], found)[-1] == "written    not run: It cannot write"


def test_what_is_noted_is_not_searched_again(micro, picture, monkeypatch):
    notes, pictures = Notes(), [picture, picture.rotate(90)]
    first = compare_searches(micro, pictures[:1], ("honest",), notes)
    asked = []
    searching = micro.searching
    monkeypatch.setattr(micro, "searching", lambda search: asked.append(search) or searching(search))
    assert compare_searches(micro, pictures[:1], ("honest",), notes) == first
    assert asked == []
    both = compare_searches(micro, pictures, ("honest",), notes).prompts["honest"]
    assert both == (*first.prompts["honest"], searching("honest").interrogate(pictures[1]).prompt)


def test_only_what_surely_renders_nearer_replaces_the_usual():
    usual = np.linspace(0.5, 0.6, 40)
    sure, unsure = usual + 0.02, usual + np.tile([0.3, -0.28], 20)
    assert recommended_of({"honest": usual, "peer": unsure})[0] == "honest"
    best, over = recommended_of({"honest": usual, "peer": unsure, "written": sure, "beam": usual + 0.01})
    assert best == "written"
    assert over.keys() == {"peer", "written", "beam"}
    assert recommended_of({"peer": usual}) == (None, {})


def test_what_was_found_is_remembered_by_clip_and_captioner(tmp_path):
    asked = Settings(clip="a", captioner="blip-large")
    others = [Settings(clip="b", captioner="blip-large"), Settings(clip="a", captioner="git-large")]
    assert usual_search(tmp_path, asked) == USUAL_SEARCH
    recommend_search(tmp_path, asked, "written")
    recommend_search(tmp_path, asked, "beam")
    assert usual_search(tmp_path, asked) == "beam"
    assert usual_search(tmp_path, replace(asked, search="peer")) == "peer"
    assert usual_search(tmp_path, replace(asked, peer_defects=True)) == "peer"
    assert [usual_search(tmp_path, other) for other in others] == [USUAL_SEARCH, USUAL_SEARCH]
    next(tmp_path.glob("*")).write_text("nonsense")
    assert usual_search(tmp_path, asked) == USUAL_SEARCH


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be kept"):
        recommend_search(tmp_path / "file", Settings(), "beam")


def test_only_searches_can_be_named():
    assert _searches("peer, honest") == ("peer", "honest")
    assert _searches("none") == ()
    with pytest.raises(argparse.ArgumentTypeError, match="'best' is no search"):
        _searches("best")
