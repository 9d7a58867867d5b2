"""The phrases of a prompt as chips on the node in ComfyUI's own page, and what they write into the node's inputs."""

from __future__ import annotations

from typing import Any

import pytest
from comfyui_graphs import NAMES
from comfyui_page import WITH_MICRO, Page, browser_fixture, page_fixture  # noqa: F401
from comfyui_server import needs_comfyui
from page_server import can_browse

pytest_plugins = ["comfyui_fixtures"]
pytestmark = [needs_comfyui, pytest.mark.skipif(not can_browse(), reason="install playwright and Chromium")]

CHIPS = ".unrender-chips ul:first-of-type li"
INPUTS = """() => {
  const node = app.graph._nodes.find((each) => each.type === "UnrenderInterrogate");
  const value = (name) => node.widgets.find((each) => each.name === name).value;
  return { pin: value("pin"), exclude: value("exclude") };
}"""
TOLD = """(told) => {
  const node = app.graph._nodes.find((each) => each.type === "UnrenderInterrogate");
  node.onExecuted({ text: ["a square, red"], unrender_phrases: told });
}"""
FILL = """([name, value]) => {
  const node = app.graph._nodes.find((each) => each.type === "UnrenderInterrogate");
  const widget = node.widgets.find((each) => each.name === name);
  widget.value = value;
  widget.callback?.(value);
}"""
CAPTION = {"text": "a square", "category": "caption", "gain": 0.2, "without": 0.05}
RED = {
    **{"text": "red", "category": "colour", "family": "colour", "gain": 0.05, "likelihood": 0.6, "support": 2.5},
    **{"runner_up": "orange", "without": 0.2},
}
OUT = {"text": "at night", "category": "light", "why": 'contradicts "at noon"'}


def told(*phrases: dict[str, Any], **values: Any) -> list[dict[str, Any]]:
    return [{"similarity": 0.25, "search": "honest", "bank": "", "phrases": [*phrases], "rejected": [], **values}]


def having(page: Page, *phrases: dict[str, Any], **values: Any) -> Any:
    """The page's chips, where a run has told of the phrases."""
    page.open("Interrogate a picture", NAMES[0])
    page.page.evaluate(TOLD, told(*phrases, **values))
    page.page.wait_for_selector(".unrender-chips")
    return page.page.locator(CHIPS)


def inputs(page: Page) -> tuple[str, str]:
    found = page.page.evaluate(INPUTS)
    return found["pin"], found["exclude"]


def press(chip: Any, button: int = 0) -> None:
    chip.locator("button").nth(button).evaluate("(button) => button.click()")


def test_a_run_shows_its_phrases_and_leaves_out_what_was_dropped(page, comfyui):
    page.open("Interrogate a picture", NAMES[1])
    page.page.evaluate(WITH_MICRO, "fast")
    page.run()
    [first] = comfyui.last_run().texts()
    chips = page.page.locator(CHIPS)
    texts = chips.locator("button:first-child > span").all_inner_texts()
    assert ", ".join(texts) == first
    caption, dropped = texts[0], texts[1]
    assert chips.nth(0).locator("button").count() == 1, "nothing of the caption can be left out or changed"
    assert chips.nth(0).locator("button").is_disabled()
    press(chips.nth(1))
    assert inputs(page) == ("", dropped)
    chips.nth(2).dispatch_event("pointerenter")
    assert page.page.inner_text(".unrender-chips p[aria-live]").startswith(f"Similarity without “{texts[2]}”: ")
    page.run()
    [second] = comfyui.last_run().texts()
    assert second.startswith(caption) and dropped not in second.split(", ")
    assert page.page.get_by_label(f"Take back: {dropped}").count() == 1
    assert not page.complaints


def test_a_chip_drops_pins_and_gives_way_to_another_phrase(page):
    chips = having(page, CAPTION, RED)
    assert "+0.050 · 60 %" in chips.nth(1).inner_text()
    press(chips.nth(1))
    assert inputs(page) == ("", "red") and chips.nth(1).locator("button").first.get_attribute("aria-pressed") == "true"
    press(chips.nth(1))
    assert inputs(page) == ("", "")
    press(chips.nth(1), 2)
    assert inputs(page) == ("red", "")
    press(chips.nth(1))
    assert inputs(page) == ("", "red"), "not both"
    press(chips.nth(1), 1)
    assert inputs(page) == ("orange", "red")
    press(chips.nth(1), 1)
    assert inputs(page) == ("", "red")
    page.page.get_by_label("Take back: red").evaluate("(button) => button.click()")
    assert inputs(page) == ("", "")


def test_what_is_typed_into_the_inputs_is_seen_on_the_chips(page):
    chips = having(page, CAPTION, RED)
    page.page.evaluate(FILL, ["exclude", "dogs, By RED"])
    assert chips.nth(1).get_attribute("class") == "dropped"
    press(chips.nth(1))
    assert inputs(page) == ("", "dogs"), "what else was typed stays"


def test_chips_are_worked_by_the_keyboard_and_the_node_stays(page):
    chips = having(page, CAPTION, RED)
    label = chips.nth(1).locator("button").first
    label.focus()
    page.page.keyboard.press("Enter")
    assert inputs(page) == ("", "red")
    assert page.page.evaluate("document.activeElement.dataset.key") == "0/1/drop", "focus stays on the chip"
    page.page.keyboard.press(" ")
    assert inputs(page) == ("", "")
    page.page.keyboard.press("Delete")
    assert inputs(page) == ("", "red")
    page.page.keyboard.press("Tab")
    page.page.keyboard.press("Enter")
    assert inputs(page) == ("orange", "red")


def test_a_phrase_is_text_whatever_is_in_it(page):
    html = "<img src=x onerror='window.harmed = true'><b>bold</b>"
    hostile = {**RED, "text": html, "family": html, "runner_up": html, "category": html}
    chips = having(page, {**CAPTION, "text": html}, hostile, bank=html, search=html, rejected=[{**OUT, "text": html}])
    assert html in chips.nth(1).inner_text()
    chips.nth(1).dispatch_event("pointerenter")
    press(chips.nth(1))
    assert inputs(page) == ("", html)
    page.page.wait_for_timeout(300)
    assert page.page.locator(".unrender-chips :is(img, b)").count() == 0
    assert page.page.evaluate("window.harmed") is None


def test_long_phrases_stay_within_the_node(page):
    caption, phrase = {**CAPTION, "text": "a" * 400}, {**RED, "text": "b " * 200, "runner_up": "c" * 300}
    having(page, caption, phrase, rejected=[OUT])
    box = page.page.locator(".unrender-chips")
    assert box.evaluate("(box) => box.scrollWidth - box.clientWidth") <= 0


def test_what_was_left_out_is_told_and_can_be_pinned(page):
    having(page, CAPTION, rejected=[OUT])
    out = page.page.locator(".unrender-chips details")
    assert "Weighed and left out: 1" in out.inner_text()
    out.evaluate("(details) => { details.open = true; }")
    assert 'at night: contradicts "at noon"' in out.inner_text()
    press(out.locator("li"), 1)
    assert inputs(page) == ("at night", "") and out.evaluate("(details) => details.open")


def test_what_cannot_be_named_in_an_input_cannot_be_clicked(page):
    chips = having(page, CAPTION, {**RED, "text": "red,\nas it were"})
    assert (
        chips.nth(1).locator("button").first.is_disabled() and not chips.nth(1).locator("button").nth(1).is_disabled()
    )


def test_what_is_not_quite_sure_is_not_called_sure(page):
    chips = having(page, CAPTION, *({**RED, "likelihood": likely} for likely in (1, 0.9996, 0.004, 0.994)))
    shown = [chips.nth(row).locator("small").inner_text() for row in range(1, 5)]
    assert [each.split(" · ")[1] for each in shown] == ["100 %", "> 99 %", "< 1 %", "99 %"]


def test_a_phrase_with_commas_stands_in_quotation_marks(page):
    chips = having(page, CAPTION, {**RED, "text": 'red, "as it were"'}, RED)
    press(chips.nth(1))
    press(chips.nth(2))
    assert inputs(page) == ("", '"red, ""as it were""", red')
    assert [chips.nth(row).get_attribute("class") for row in (1, 2)] == ["dropped", "dropped"]
    press(chips.nth(1))
    assert inputs(page) == ("", "red")


def test_a_caption_gives_way_by_its_words(page):
    chips = having(page, {**CAPTION, "runner_up": "disc", "instead_of": "square"}, RED)
    caption = chips.nth(0).locator("button")
    assert caption.count() == 2 and caption.nth(1).inner_text() == "square? no: disc"
    page.page.evaluate(FILL, ["pin", "Square, fog"])
    press(chips.nth(0), 1)
    assert inputs(page) == ("fog, disc", "") and caption.nth(1).get_attribute("aria-pressed") == "true"
    press(chips.nth(0), 1)
    assert inputs(page) == ("fog", "")


def test_a_pinned_runner_up_is_said_in_the_captions_place(page, comfyui):
    page.open("Interrogate a picture", NAMES[1])
    page.page.evaluate(WITH_MICRO, "best")
    page.run()
    chips = page.page.locator(CHIPS)
    words, other = chips.nth(0).locator("button").nth(1).inner_text().split("? no: ")
    press(chips.nth(0), 1)
    assert inputs(page) == (other, "")
    page.run()
    [prompt] = comfyui.last_run().texts()
    caption = prompt.split(", ")[0]
    assert other in caption and words not in caption


def test_chips_are_kept_with_the_workflow_and_strange_ones_do_no_harm(page):
    having(page, CAPTION, RED)
    saved = page.page.evaluate("() => app.graph.serialize()")
    page.open("Interrogate a picture", NAMES[1])
    assert page.page.locator(".unrender-chips").count() == 0
    page.page.evaluate("(graph) => app.loadGraphData(graph)", saved)
    page.page.wait_for_selector(".unrender-chips")
    assert page.page.locator(CHIPS).count() == 2
    [node] = [each for each in saved["nodes"] if each["type"] == "UnrenderInterrogate"]
    assert len(node["widgets_values"]) == len(node["properties"]["unrender_widgets"]) == 12
    for strange in ("text", [None, 1], [{"phrases": "x"}], [{"phrases": [{"text": 1, "gain": "x"}]}], {"0": []}):
        node["properties"]["unrender_phrases"] = strange
        page.page.evaluate("(graph) => app.loadGraphData(graph)", saved)
    assert not page.complaints


def test_chips_speak_the_pages_language(page):
    page.page.evaluate("() => app.ui.settings.setSettingValueAsync('Comfy.Locale', 'fr')")
    try:
        page.page.reload()
        page.page.wait_for_function("window.app?.extensionManager?.workflow?.activeWorkflow")
        having(page, CAPTION, RED)
        assert page.page.locator(".unrender-chips").get_attribute("aria-label") == "Expressions du prompt"
    finally:
        page.page.evaluate("() => app.ui.settings.setSettingValueAsync('Comfy.Locale', 'en')")
