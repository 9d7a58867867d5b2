"""The page Prompt beyond a prompt: caption, phrases, tokens, target, the file's own prompt, the example, downloads; in
a real browser, under every gradio there is (see `page_server`)."""

from __future__ import annotations

from pathlib import Path

import axe
import pytest
from hub_server import serving as serving_hub
from page_server import (
    Browser,
    browser_fixture,  # noqa: F401
    chromium_fixture,  # noqa: F401
    gradio_pythons,
    in_a_browser,
    page_served,
    photograph_fixture,  # noqa: F401
)
from PIL.PngImagePlugin import PngInfo
from unrender.core.describe.style_grammar import accepts
from unrender.core.engine import Engine, Settings
from unrender.core.micro.drawing import draw
from unrender.core.micro.world import Scene
from unrender.core.settings import MODES
from unrender.core.targets import TARGETS
from unrender.server.choices import ABOUT_MODES, ANY

pytestmark = in_a_browser()
OF_FILE = "a boat (at sea:1.2), oil"
PARAMETERS = f"{OF_FILE}\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, Seed: 7, Size: 64x64, Model: a"
CLIP, OTHER_CLIP, SLOW_CLIP = "someone/clip", "someone/other-clip", "someone/slow-clip"
REMOVE = ", ".join(f"#unrender_picture button[aria-label*={word} i]" for word in ("lear", "emove"))
"""The button that takes the picture out, as the versions of gradio call it."""


@pytest.fixture(scope="module")
def hub(transformers_folder):
    with serving_hub() as state:
        files = {path.name: path.read_bytes() for path in transformers_folder.iterdir()}
        state.repos |= dict.fromkeys((CLIP, OTHER_CLIP, SLOW_CLIP), files)
        yield state


@pytest.fixture(scope="module", params=gradio_pythons())
def server(request, tmp_path_factory, hub):
    with pytest.MonkeyPatch.context() as patch:
        base = tmp_path_factory.mktemp("page")
        patch.setenv("HF_ENDPOINT", hub.url)
        patch.setenv("HF_HOME", str(base / "hf"))
        with page_served(request.param, base) as server:
            yield server


@pytest.fixture(scope="module")
def generated(tmp_path_factory, photographs) -> Path:
    """As a webui saves it."""
    said = PngInfo()
    said.add_text("parameters", PARAMETERS)
    path = tmp_path_factory.mktemp("pictures") / "generated.png"
    photographs[0].resize((64, 64)).save(path, pnginfo=said)
    return path


@pytest.fixture(scope="module")
def moon(tmp_path_factory) -> Path:
    """A drawing that micro's describers know."""
    path = tmp_path_factory.mktemp("pictures") / "moon.png"
    draw(Scene("moon", "yellow", "large", "sea", "oil", "mira"), 3).picture.save(path)
    return path


@pytest.fixture(scope="module")
def engine():
    with Engine(Settings(clip="micro", captioner="micro")) as engine:
        yield engine


def test_what_the_prompt_is_made_of_is_shown(browser, photograph, engine):
    browser.open()
    browser.put("unrender_picture", photograph)
    browser.press("unrender")
    found = engine.interrogate(photograph)
    assert browser.value("unrender_caption") == found.caption
    assert browser.value("unrender_tokens") == f"{engine.clip.text.length(found.prompt)} of 77"
    rows = browser.page.locator("#unrender_phrases li").all_inner_texts()
    assert len(rows) == len(found.phrases)
    for row, phrase in zip(rows, found.phrases, strict=True):
        assert row.startswith(phrase.text) and f"{phrase.gain:+.4f}" in row
    assert "Micro is a toy" in browser.text("unrender_note")


def test_a_caption_that_was_changed_is_used(browser, photograph, engine):
    browser.open()
    browser.put("unrender_picture", photograph)
    browser.press("unrender")
    browser.fill("unrender_caption", "two blue squares")
    browser.page.click("#unrender_again")
    expected = engine.interrogate(photograph, caption="two blue squares")
    browser.wait_for_value("unrender_prompt", expected.prompt)
    assert browser.value("unrender_caption") == "two blue squares"
    assert browser.press("unrender").endswith("s with micro.")
    browser.wait_for_value("unrender_prompt", engine.interrogate(photograph).prompt)


def test_fewer_phrases_are_taken_where_fewer_are_wanted(browser, photograph):
    browser.open()
    browser.put("unrender_picture", photograph)
    browser.page.fill("#unrender_most input[type=number]", "2")
    browser.page.keyboard.press("Tab")
    browser.press("unrender")
    assert browser.page.locator("#unrender_phrases li").count() <= 3  # the caption is none of them


@pytest.fixture
def chats(server) -> None:
    if not server.has("transformers", 4, 46):
        pytest.skip("that Python's transformers is older than chat models")


@pytest.mark.usefixtures("chats")
def test_a_target_chooses_what_suits_it_from_what_is_here_and_says_so(browser):
    browser.open()
    browser.choose("unrender_target", "flux")
    browser.wait_for_value("unrender_captioner_model", "micro-chat")
    browser.wait_for_value("unrender_most", "8")
    browser.wait_for_text("unrender_target_about", "Chose micro-chat for flux: it is a toy that comes along.")
    browser.wait_for_text("unrender_mode_about", ABOUT_MODES["caption"])
    browser.choose("unrender_target", "pony")
    browser.wait_for_text("unrender_mode_about", ABOUT_MODES["tags"])
    browser.wait_for_text("unrender_target_about", "Chose micro-tagger for pony")
    assert browser.value("unrender_clip_model") == "micro", "which this program was started with"
    browser.choose("unrender_target", ANY)
    browser.wait_for_no_text("unrender_target_about")
    browser.wait_for_value("unrender_captioner_model", "micro")
    _expect_no_fault(browser)


def test_tags_are_shown_by_category_with_the_rating(browser, moon):
    browser.open()
    browser.put("unrender_picture", moon)
    browser.choose("unrender_target", "pony")
    browser.wait_for_text("unrender_target_about", "micro-tagger")
    assert browser.press("unrender").endswith("s with micro-tagger.")
    settings = TARGETS["pony"].over(Settings(clip="micro", tagger="micro-tagger"))
    with Engine(settings) as engine:
        expected = engine.interrogate(moon, "tags")
    assert browser.value("unrender_prompt") == expected.prompt and expected.prompt.startswith("score_9, ")
    heads = browser.page.locator("#unrender_found_tags h2").all_inner_texts()
    assert heads[:2] == ["Rating", "Characters"] and heads[-1] == "Tags"
    rows = browser.page.locator("#unrender_found_tags li").all_inner_texts()
    assert len(rows) == len(expected.tags)
    assert {row.split("\n")[0] for row in rows} == {tag.name for tag in expected.tags}
    assert "Micro is a toy" in browser.text("unrender_note") and browser.value("unrender_similarity") == ""
    browser.unfold("unrender_tags")
    browser.fill("unrender_exclude_tags", "ocean")
    browser.page.locator("#unrender_rating input").check()
    browser.press("unrender")
    changed = browser.value("unrender_prompt")
    assert "ocean" not in changed and "rating_" in changed


@pytest.mark.usefixtures("chats")
def test_a_chat_model_describes_in_the_style_that_is_chosen(browser, moon):
    browser.open()
    browser.put("unrender_picture", moon)
    browser.page.locator("#unrender_mode label", has_text="caption").click()
    browser.choose("unrender_captioner_model", "micro-chat")
    browser.unfold("unrender_description")
    found = {}
    for style in ("sentence", "paragraph", "tags"):
        browser.choose("unrender_style", style)
        assert browser.press("unrender").endswith("s with micro.")
        found[style] = browser.value("unrender_prompt")
        assert accepts(style, found[style]), found[style]
    assert len(set(found.values())) == 3
    browser.page.fill("#unrender_candidates input[type=number]", "3")
    browser.page.keyboard.press("Tab")
    browser.press("unrender")
    rows = browser.page.locator("#unrender_found_tags li").all_inner_texts()
    assert len(rows) == 3 and browser.text("unrender_found_tags").startswith("Captions, by similarity")
    assert sum("micro-chat, seed " in row for row in rows) == 3
    assert rows[0].startswith(browser.value("unrender_caption"))
    _expect_no_fault(browser)


def test_each_mode_says_what_it_does(browser):
    browser.open()
    for mode in MODES:
        browser.page.locator("#unrender_mode label", has_text=mode).click()
        browser.wait_for_text("unrender_mode_about", ABOUT_MODES[mode])
    assert len(set(ABOUT_MODES.values())) == len(MODES) and all(each.endswith(".") for each in ABOUT_MODES.values())


def test_the_prompt_in_the_file_is_shown_and_taken(browser, generated, photograph):
    browser.open()
    browser.put("unrender_picture", generated)
    browser.wait_for_value("unrender_file_prompt", OF_FILE)
    assert "Negative prompt: blurry" in browser.text("unrender_file_rest")
    _expect_no_fault(browser)
    browser.page.click("#unrender_file_take")
    browser.wait_for_value("unrender_prompt", OF_FILE)


def test_nothing_of_one_picture_stays_beside_another(browser, photograph, generated):
    browser.open()
    browser.put("unrender_picture", generated)
    browser.press("unrender")
    browser.page.locator(REMOVE).first.click()
    browser.page.wait_for_selector("#unrender_example", state="visible")
    for name in ("unrender_prompt", "unrender_caption", "unrender_similarity"):
        browser.wait_for_value(name, "")
    for name in ("unrender_status", "unrender_phrases"):
        browser.wait_for_no_text(name)
    browser.page.wait_for_selector("#unrender_file_prompt", state="hidden")


def test_a_question_goes_with_the_picture_it_was_asked_for(browser, photograph):
    browser.open()
    browser.put("unrender_picture", photograph)
    browser.page.locator("#unrender_mode label", has_text="negative").click()
    browser.page.fill("#unrender_clip_model input", OTHER_CLIP)
    browser.page.keyboard.press("Enter")
    assert browser.press("unrender").endswith(" MB to download.")
    browser.page.locator(REMOVE).first.click()
    browser.page.wait_for_selector("#unrender_example", state="visible")
    browser.page.wait_for_selector("#unrender_agree", state="hidden")
    browser.wait_for_no_text("unrender_status")


def test_the_example_is_one_to_begin_with(browser):
    browser.open()
    browser.page.click("#unrender_example")
    browser.page.wait_for_selector("#unrender_picture img")
    browser.page.wait_for_selector("#unrender_example", state="hidden")
    assert browser.press("unrender").endswith("s with micro.")
    assert "moon" in browser.value("unrender_prompt")


def test_a_download_is_asked_about_first(browser, photograph, hub):
    """With its size; Cancel leaves it, Download goes on, and then it is never asked about again."""
    hub.requests.clear()
    browser.open()
    browser.put("unrender_picture", photograph)
    browser.page.locator("#unrender_mode label", has_text="negative").click()
    browser.page.fill("#unrender_clip_model input", CLIP)
    browser.page.keyboard.press("Enter")
    line = browser.press("unrender")
    assert line.startswith(f"{CLIP}: ") and line.endswith(" MB to download.")
    browser.page.wait_for_selector("#unrender_agree", state="visible")
    _expect_no_fault(browser)
    browser.page.click("#unrender_decline")
    browser.page.wait_for_selector("#unrender_agree", state="hidden")
    assert browser.text("unrender_status") == "" and hub.asked("GET", "model.safetensors") == []
    browser.press("unrender")
    browser.page.click("#unrender_agree")
    browser.wait_for_text("unrender_status", f"s with {CLIP}")
    assert hub.asked("GET", "model.safetensors") and not browser.page.is_visible("#unrender_agree")
    assert browser.press("unrender").endswith(f"s with {CLIP}.")


def test_who_waits_for_another_tab_is_told_so_and_can_stop(browser, server, photograph, hub, chromium):
    """The other's run takes its time: its model comes slowly."""
    hub.slowness = 1
    for each in (other := Browser(chromium.new_page(), server.url), browser):
        each.open()
        each.put("unrender_picture", photograph)
    other.page.locator("#unrender_mode label", has_text="negative").click()
    other.page.fill("#unrender_clip_model input", SLOW_CLIP)
    other.page.keyboard.press("Enter")
    assert other.press("unrender").endswith(" MB to download.")
    other.page.click("#unrender_agree")
    other.wait_for_text("unrender_status", " MB …")
    browser.page.click("#unrender_start")
    browser.wait_for_text("unrender_status", "Waiting for what was asked before …")
    browser.page.click("#unrender_stop")
    browser.wait_for_text("unrender_status", "Stopped.")
    other.page.click("#unrender_stop")
    other.wait_for_text("unrender_status", "Stopped.")
    hub.slowness = 0
    other.page.close()
    assert browser.press("unrender").endswith("s with micro.")


def _expect_no_fault(browser):
    """For those who cannot see the page, or not well; where axe-core is here to look."""
    if axe.has_axe():
        assert axe.faults(browser.page) == []
