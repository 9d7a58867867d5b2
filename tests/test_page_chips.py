"""The phrases of a found prompt as chips, in a real browser, under every gradio there is (see `page_server`)."""

from __future__ import annotations

from typing import Any

import axe
import pytest
from page_server import (
    Browser,
    browser_fixture,  # noqa: F401
    chromium_fixture,  # noqa: F401
    gradio_pythons,
    in_a_browser,
    page_served,
    photograph_fixture,  # noqa: F401
)
from unrender.core.engine import Engine, Settings
from unrender.core.phrases.swapping import with_words
from unrender.server.choices import ABOUT_SEARCHES
from unrender.server.describing import AS_USUAL

pytestmark = in_a_browser()


@pytest.fixture(scope="module", params=gradio_pythons())
def server(request, tmp_path_factory):
    with page_served(request.param, tmp_path_factory.mktemp("page")) as server:
        yield server


@pytest.fixture(scope="module")
def engine():
    with Engine(Settings(clip="micro", captioner="micro")) as engine:
        yield engine


@pytest.fixture(scope="module")
def found(engine, photograph):
    """A prompt with a caption and two phrases or more, one of which has a runner-up."""
    found = engine.interrogate(photograph)
    assert any(each.runner_up and each.category != "caption" for each in found.phrases)
    return found


@pytest.fixture
def opened(browser, photograph, found) -> Browser:
    browser.open()
    browser.put("unrender_picture", photograph)
    browser.press("unrender")
    browser.wait_for_value("unrender_prompt", found.prompt)
    return browser


def chip(browser: Browser, row: int, kind: str = "keep") -> Any:
    return browser.page.locator("#unrender_phrases li").nth(row).locator(f".unrender-chip-{kind}")


def is_pressed(browser: Browser, row: int, kind: str = "keep") -> bool:
    return chip(browser, row, kind).get_attribute("aria-pressed") == "true"


def expect_similarity(browser: Browser, engine: Engine, picture: Any, prompt: str) -> None:
    """In its field and, beside what was found, in a line."""
    (similarity,) = engine.similarity(picture, [prompt])
    browser.wait_for_value("unrender_prompt", prompt)
    browser.wait_for_value("unrender_similarity", f"{similarity:.4f}")
    browser.wait_for_text("unrender_changed_status", f"Similarity {similarity:.4f}")
    browser.wait_for_value("unrender_tokens", f"{engine.clip.text.length(prompt)} of 77")


def test_a_click_takes_a_phrase_out_and_another_puts_it_back(opened, engine, found, photograph):
    texts = [each.text for each in found.phrases]
    for row in range(len(texts)):
        chip(opened, row).click()
        assert not is_pressed(opened, row)
        expect_similarity(opened, engine, photograph, ", ".join(texts[:row] + texts[row + 1 :]))
        chip(opened, row).click()
        assert is_pressed(opened, row)
        expect_similarity(opened, engine, photograph, found.prompt)
    opened.wait_for_text("unrender_changed_status", "as it was found")
    if axe.has_axe():
        assert axe.faults(opened.page) == []


def test_all_of_it_works_without_a_mouse(opened, engine, found, photograph):
    chip(opened, 0).focus()
    opened.page.keyboard.press("Space")
    assert not is_pressed(opened, 0)
    assert opened.page.evaluate("document.activeElement.className") == "unrender-chip-keep"
    expect_similarity(opened, engine, photograph, ", ".join(each.text for each in found.phrases[1:]))


def test_a_runner_up_is_said_in_a_phrase_s_place_and_the_phrase_again(opened, engine, found, photograph):
    row = next(row for row, each in enumerate(found.phrases) if each.runner_up and each.category != "caption")
    texts = [each.text for each in found.phrases]
    own, other = texts[row], found.phrases[row].runner_up
    assert chip(opened, row, "other").text_content() == f"or {other}"
    chip(opened, row, "other").click()
    expect_similarity(opened, engine, photograph, ", ".join([*texts[:row], other, *texts[row + 1 :]]))
    assert chip(opened, row, "other").text_content() == f"or {own}"
    assert chip(opened, row).inner_text() == other, "the worth of the other is not told of it"
    chip(opened, row).click()
    expect_similarity(opened, engine, photograph, ", ".join(texts[:row] + texts[row + 1 :]))
    chip(opened, row, "other").click()
    expect_similarity(opened, engine, photograph, found.prompt)


def test_a_captions_words_are_said_otherwise_and_again(opened, engine, found, photograph):
    caption, *others = found.phrases
    assert caption.instead_of, "micro's captioner is not sure of this picture"
    instead = with_words(caption.text, caption.instead_of, caption.runner_up)
    expected = f"{caption.instead_of}? no: {caption.runner_up}"
    assert chip(opened, 0, "other").inner_text() == expected
    chip(opened, 0, "other").click()
    expect_similarity(opened, engine, photograph, ", ".join([instead, *(each.text for each in others)]))
    assert chip(opened, 0, "other").inner_text() == f"{caption.runner_up}? no: {caption.instead_of}"
    assert chip(opened, 0).inner_text() == instead and is_pressed(opened, 0)
    chip(opened, 0, "other").click()
    expect_similarity(opened, engine, photograph, found.prompt)
    assert chip(opened, 0, "other").inner_text() == expected


def test_a_phrase_with_commas_is_pinned_and_banned(opened, found):
    row = next(row for row, each in enumerate(found.phrases) if each.category != "caption")
    opened.fill("unrender_pinned", 'fog, "dim, they say"')
    make = "(chip, text) => { chip.closest('li').dataset.plain = text; }"
    chip(opened, row).evaluate(make, 'a "good", old lamp')
    chip(opened, row, "pin").click()
    opened.wait_for_value("unrender_pinned", 'fog, "dim, they say", "a ""good"", old lamp"')
    assert is_pressed(opened, row, "pin")
    chip(opened, row, "ban").click()
    opened.wait_for_value("unrender_pinned", 'fog, "dim, they say"')
    opened.wait_for_value("unrender_exclude", '"a ""good"", old lamp"')
    opened.fill("unrender_exclude", "")
    opened.fill("unrender_pinned", '"neon fog, as it were"')
    opened.press("unrender")
    assert "neon fog, as it were" in opened.value("unrender_prompt")


def test_what_a_person_wrote_stays_and_what_was_deleted_is_seen_to_be_out(opened, engine, found, photograph):
    caption, *others = [each.text for each in found.phrases]
    opened.fill("unrender_prompt", ", ".join([caption, "my own words", *others]))
    chip(opened, 0).click()
    expect_similarity(opened, engine, photograph, ", ".join(["my own words", *others]))
    opened.fill("unrender_prompt", f"my own words, {caption}")
    opened.page.wait_for_selector("#unrender_phrases li:nth-child(2) [aria-pressed=false].unrender-chip-keep")
    assert is_pressed(opened, 0)
    chip(opened, 1).click()
    opened.wait_for_value("unrender_prompt", f"my own words, {caption}, {others[0]}")


def test_pinned_and_banned_phrases_stand_in_their_fields_and_hold_for_the_next_prompt(opened, found):
    row, phrase = next((row, each.text) for row, each in enumerate(found.phrases) if each.category != "caption")
    chip(opened, row, "pin").click()
    opened.wait_for_value("unrender_pinned", phrase)
    assert is_pressed(opened, row, "pin") and not is_pressed(opened, row, "ban")
    chip(opened, row, "ban").click()
    opened.wait_for_value("unrender_exclude", phrase)
    opened.wait_for_value("unrender_pinned", "")
    assert is_pressed(opened, row, "ban") and not is_pressed(opened, row, "pin")
    opened.press("unrender")
    assert phrase not in opened.value("unrender_prompt")
    opened.fill("unrender_exclude", "")
    opened.fill("unrender_pinned", "neon fog")
    opened.press("unrender")
    assert "neon fog" in opened.value("unrender_prompt")


def test_a_search_is_chosen_and_said_what_it_does(opened, engine, photograph):
    opened.wait_for_text("unrender_search_about", ABOUT_SEARCHES[AS_USUAL])
    opened.choose("unrender_search", "peer")
    opened.wait_for_text("unrender_search_about", ABOUT_SEARCHES["peer"])
    opened.press("unrender")
    with Engine(Settings(clip="micro", captioner="micro", search="peer")) as engine:
        opened.wait_for_value("unrender_prompt", engine.interrogate(photograph).prompt)


def test_what_was_left_out_is_folded_away(opened, found):
    folded = opened.page.locator("#unrender_left_out details")
    rows = folded.locator("tbody tr")
    assert rows.count() == len(found.rejected) > 0 and not rows.first.is_visible()
    folded.locator("summary").click()
    assert rows.first.is_visible()
    corrected = [each for each in found.rejected if each.reason == "corrected"]
    assert all(each.text in opened.text("unrender_phrases") for each in corrected)
