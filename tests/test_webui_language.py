"""Our labels in a real webui's own localisation, which it takes from files of its and of other extensions."""

from __future__ import annotations

import json

import pytest
from hub_server import serving
from webui_server import Server, needs_webui, opened

pytestmark = needs_webui

SHOWN = {
    "Unrender": "tab",
    "Find the prompt": "button of a page",
    "Similarity": "field",
    "Analyze": "page",
    "Interrogate each picture": "section in img2img",
    "replace": "choice",
    "Image as prompt": "section in both",
    "With the typed prompt": "its choice",
    "There is no picture; put one in first.": "line",
}
HINTS = {
    "Unrender: find the prompt of the picture and put it into the prompt field": "title",
    "phrases never to use, between commas; a bare name excludes an artist": "placeholder",
}


def foreign(text: str) -> str:
    return f"[{text[::-1]}]"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    words = tmp_path_factory.mktemp("words")
    (words / "xx_XX.json").write_text(json.dumps({text: foreign(text) for text in (*SHOWN, *HINTS)}), encoding="utf-8")
    with serving() as hub:
        server = Server(tmp_path_factory.mktemp("webui"), hub.url, ["--localizations-dir", str(words)])
        config = server.base / "config.json"
        chosen = {**json.loads(config.read_text(encoding="utf-8")), "localization": "xx_XX"}
        config.write_text(json.dumps(chosen), encoding="utf-8")
        try:
            server.start()
            with opened(server) as page:
                yield page
        finally:
            server.stop()


def test_webui_shows_our_labels_in_its_language(browser):
    browser.open()
    browser.choose_tab("img2img")
    browser.page.click("#unrender_img2img_start")
    browser.wait_for_status("unrender_img2img_status", foreign("There is no picture; put one in first."))
    text = browser.page.evaluate("document.body.textContent")
    assert [f"{label} ({what})" for label, what in SHOWN.items() if foreign(label) not in text] == []
    for hint, attribute in HINTS.items():
        told = f"[...document.querySelectorAll('[{attribute}]')].map(each => each.getAttribute('{attribute}'))"
        assert foreign(hint) in browser.page.evaluate(told), hint
    browser.choose_tab(foreign("Unrender"))
    browser.page.wait_for_selector("#unrender_start", state="visible")
