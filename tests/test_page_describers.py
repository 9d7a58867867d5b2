"""Describers on the pages Analyze, Batch and Models, in a real browser, under every gradio there is."""

from __future__ import annotations

from pathlib import Path

import axe
import pytest
from page_server import (
    browser_fixture,  # noqa: F401
    chromium_fixture,  # noqa: F401
    gradio_pythons,
    in_a_browser,
    page_served,
)
from unrender.core.describe.kinds import known_describers
from unrender.core.engine import Engine, Settings
from unrender.core.micro.drawing import draw
from unrender.core.micro.toy import TOYS
from unrender.core.micro.world import Scene

pytestmark = in_a_browser()


@pytest.fixture(scope="module", params=gradio_pythons())
def server(request, tmp_path_factory):
    allowed = ("--allow", str(tmp_path_factory.getbasetemp()))
    with page_served(request.param, tmp_path_factory.mktemp("page"), *allowed) as server:
        yield server


@pytest.fixture
def moon(tmp_path) -> Path:
    path = tmp_path / "moon.png"
    draw(Scene("moon", "yellow", "large", "sea", "oil", "mira"), 3).picture.save(path)
    return path


@pytest.fixture(scope="module")
def engine():
    with Engine(Settings(clip="micro", tagger="micro-tagger")) as engine:
        yield engine


def test_an_analysis_has_a_tagger_s_tags_first(browser, moon, engine):
    browser.open("Analyze")
    browser.put("unrender_analyze_picture", moon)
    browser.choose("unrender_analyze_tagger", "micro-tagger")
    browser.press("unrender_analyze")
    heads = browser.page.locator("#unrender_analyze_labels h2").all_inner_texts()
    assert heads[:3] == ["Rating", "Characters", "Tags"] and heads[3].startswith("mediums")
    rows = browser.page.locator("#unrender_analyze_labels li").all_inner_texts()
    tags = engine.interrogate(moon, "tags").tags
    assert {row.split("\n")[0] for row in rows[: len(tags)]} == {tag.name for tag in tags}
    browser.choose("unrender_analyze_tagger", "none")
    browser.press("unrender_analyze")
    assert "Rating" not in browser.text("unrender_analyze_labels")


def test_a_folder_is_described_in_tags(browser, moon, engine):
    browser.open("Batch")
    browser.fill("unrender_batch_folder", str(moon.parent))
    browser.page.locator("#unrender_batch_mode label", has_text="tags").click()
    browser.unfold("unrender_batch_tags")
    browser.choose("unrender_batch_tagger", "micro-tagger")
    browser.fill("unrender_batch_exclude_tags", "ocean")
    assert browser.press("unrender_batch").startswith("1 pictures in ")
    tags = engine.interrogate(moon, "tags").prompt.split(", ")
    assert "ocean" in tags
    assert moon.with_suffix(".txt").read_text().strip().split(", ") == [tag for tag in tags if tag != "ocean"]


@pytest.mark.parametrize("width", [1280, 390])
def test_all_describers_are_listed_and_fit_the_screen(browser, width):
    before = browser.page.viewport_size
    browser.page.set_viewport_size({"width": width, "height": 844})
    try:
        browser.open("Models")
        browser.wait_for_text("unrender_models_describers", "Chat models")
        heads = browser.page.locator("#unrender_models_describers h2").all_inner_texts()
        assert heads == ["Captioners", "Taggers", "Chat models"]
        rows = [row.split("\t") for row in browser.page.locator("#unrender_models_describers tr").all_inner_texts()]
        listed = {row[0].strip(): row for row in rows}
        assert set(listed) == {*known_describers(), *TOYS, "Name"}
        assert [cell.strip() for cell in listed["wd-vit"]] == ["wd-vit", "378.7 MB", "189.4 MB", "Apache-2.0"]
        room = browser.page.evaluate("document.querySelector('#unrender_models_describers').clientWidth")
        tables = browser.page.evaluate(
            "[...document.querySelectorAll('#unrender_models_describers table')].map(each => each.scrollWidth)"
        )
        assert max(tables) <= room
        if axe.has_axe():
            assert axe.faults(browser.page) == []
    finally:
        browser.page.set_viewport_size(before)
