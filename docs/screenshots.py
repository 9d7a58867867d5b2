"""Makes the pictures of the page in docs/webui.md: `python docs/screenshots.py`, from a checkout with what its tests
need. They are of micro and of the page's own example."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests"))

from page_server import CHROMIUM, Browser, PageServer  # noqa: E402
from unrender.server.pages.controls import example  # noqa: E402

WIDTH, SHOWN = 1200, 720


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as running:
        picture = Path(folder) / "drawing.png"
        example().save(picture)
        server = PageServer(sys.executable, Path(folder))
        chromium = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            server.wait()
            for theme, shoot in (("light", _light), ("dark", _dark)):
                screen = {"width": WIDTH, "height": 600}
                page = chromium.new_context(viewport=screen, color_scheme=theme).new_page()
                shoot(Browser(page, server.url), picture)
        finally:
            chromium.close()
            server.stop()


def _light(browser: Browser, picture: Path) -> None:
    browser.open()
    browser.put("unrender_picture", picture)
    browser.press("unrender")
    _save(browser, "prompt")
    browser.open("Embedding")
    browser.put("unrender_embedding_picture1", picture)
    browser.choose("unrender_embedding_family", "micro")
    browser.press("unrender_embedding")
    browser.press("unrender_preview")
    _save(browser, "embedding")


def _dark(browser: Browser, picture: Path) -> None:
    browser.open("Analyze")
    browser.put("unrender_analyze_picture", picture)
    browser.press("unrender_analyze")
    browser.page.wait_for_selector("#unrender_analyze_chart img")
    _save(browser, "analyze")
    browser.choose_tab("Heat map")
    browser.fill("unrender_locate_phrase", "a yellow moon")
    browser.press("unrender_locate")
    browser.page.wait_for_selector("#unrender_locate_heat img")
    _save(browser, "heat")
    browser.choose_tab("Models")
    browser.wait_for_text("unrender_models_memory", "micro")
    _save(browser, "models")


def _save(browser: Browser, name: str) -> None:
    browser.page.wait_for_timeout(500)
    browser.page.mouse.move(0, 0)
    place = HERE / f"webui-{name}.png"
    browser.page.screenshot(path=place, full_page=True)
    with Image.open(place) as shot:
        small = shot.convert("RGB").resize((SHOWN, shot.height * SHOWN // shot.width), Image.Resampling.LANCZOS)
    small.quantize(256).save(place, optimize=True)


if __name__ == "__main__":
    main()
