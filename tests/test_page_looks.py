"""What a person meets on the pages, in a real browser: on a telephone, without a mouse, without eyes, and without any
other server than this one."""

from __future__ import annotations

import axe
import pytest
from page_server import (
    Browser,
    chromium_fixture,  # noqa: F401
    gradio_pythons,
    in_a_browser,
    page_served,
    photograph_fixture,  # noqa: F401
)

pytestmark = in_a_browser()
TABS = ("Prompt", "Analyze", "Embedding", "Batch", "Models")
WAYS = ("Categories", "Own phrases", "Heat map")


@pytest.fixture(scope="module", params=gradio_pythons())
def server(request, tmp_path_factory):
    with page_served(request.param, tmp_path_factory.mktemp("page")) as server:
        yield server


@pytest.fixture
def opened(chromium, server):
    """Opens the page on a screen of that size, in a new session."""
    sessions = []

    def open_page(size=(1280, 900), theme="light", **options) -> Browser:
        size = {"width": size[0], "height": size[1]}
        sessions.append(chromium.new_context(viewport=size, color_scheme=theme, **options))
        browser = Browser(sessions[-1].new_page(), server.url)
        browser.open()
        return browser

    yield open_page
    for session in sessions:
        session.close()


def test_nothing_is_asked_of_any_other_server(opened, server, photograph):
    browser = opened()
    asked: list[str] = []
    browser.page.on("request", lambda request: asked.append(request.url))
    browser.open()
    for tab in TABS[1:]:
        browser.choose_tab(tab)
        browser.page.wait_for_timeout(300)
    browser.choose_tab("Prompt")
    browser.put("unrender_picture", photograph)
    browser.press("unrender")
    own = (server.url, server.url.replace("http", "ws"), "data:", "blob:")
    assert len(asked) > 10 and [url for url in asked if not url.startswith(own)] == []
    source = browser.page.request.get(server.url)
    assert (
        "connect-src" in source.headers["content-security-policy"]
        or "default-src 'self'" in (source.headers["content-security-policy"])
    )
    assert [part for part in ("googleapis", "cdnjs") if part in source.text()] == []


def test_on_a_telephone_the_result_needs_no_scrolling(opened, photograph):
    browser = opened((390, 844))
    browser.put("unrender_picture", photograph)
    browser.press("unrender")
    assert browser.value("unrender_prompt")
    places = {name: _place(browser, f"#{name}") for name in ("unrender_picture", "unrender_start", "unrender_prompt")}
    assert browser.page.evaluate("window.scrollY") == 0
    assert all(place["y"] >= 0 and place["y"] + place["height"] <= 844 for place in places.values()), places
    assert _place(browser, "#unrender_picture img")["height"] > 100
    assert browser.page.evaluate("document.documentElement.scrollWidth") <= 390


def _place(browser: Browser, selector: str) -> dict[str, float]:
    return browser.page.locator(selector).first.bounding_box()


def test_enter_does_what_the_button_does(opened, photograph):
    browser = opened()
    browser.put("unrender_picture", photograph)
    browser.fill("unrender_exclude", "a red circle")
    browser.page.locator("#unrender_exclude textarea, #unrender_exclude input").press("Enter")
    browser.wait_for_text("unrender_status", "s with micro.")
    assert browser.value("unrender_prompt")


def test_the_keyboard_shows_where_it_is(opened):
    browser = opened()
    browser.page.focus("#unrender_start")
    browser.page.keyboard.press("Shift+Tab")
    browser.page.keyboard.press("Tab")
    style = browser.page.evaluate(
        "(({outlineStyle, outlineWidth}) => [outlineStyle, outlineWidth])(getComputedStyle(document.activeElement))"
    )
    assert browser.page.evaluate("document.activeElement.id") == "unrender_start"
    assert style == ["solid", "3px"]


def test_what_comes_of_it_is_said_aloud(opened, photograph):
    """In a region that was there before, of which screen readers hear."""
    browser = opened()
    browser.page.wait_for_selector("#unrender_voice[role=status]", state="attached")
    browser.page.evaluate("document.getElementById('unrender_voice').before_ = true")
    browser.put("unrender_picture", photograph)
    browser.press("unrender")
    browser.wait_for_text("unrender_voice", browser.value("unrender_prompt"))
    assert browser.page.evaluate("document.getElementById('unrender_voice').before_")


def test_no_button_shares(opened, photograph):
    browser = opened()
    browser.put("unrender_picture", photograph)
    browser.choose_tab("Analyze")
    browser.put("unrender_analyze_picture", photograph)
    browser.press("unrender_analyze")
    browser.page.wait_for_selector("#unrender_analyze_chart img")
    assert browser.page.locator("button[aria-label*=share i], button[title*=share i]").count() == 0


@pytest.mark.skipif(not axe.has_axe(), reason=axe.WORDS)
@pytest.mark.parametrize("theme", axe.THEMES)
@pytest.mark.parametrize("size", axe.SIZES, ids=lambda size: str(size[0]))
def test_no_serious_fault_on_any_page(opened, photograph, size, theme):
    browser = opened(size, theme, bypass_csp=True)
    found: dict[str, list[str]] = {}
    for tab in TABS:
        browser.choose_tab(tab)
        browser.page.wait_for_timeout(400)
        found[tab] = axe.faults(browser.page)
        if tab == "Prompt":
            browser.put("unrender_picture", photograph)
            browser.press("unrender")
            browser.page.wait_for_timeout(400)
            found["a found prompt"] = axe.faults(browser.page)
        for way in WAYS if tab == "Analyze" else ():
            browser.choose_tab(way, "#unrender_analyze_ways")
            browser.page.wait_for_timeout(400)
            found[way] = axe.faults(browser.page)
    assert {name: each for name, each in found.items() if each} == {}
