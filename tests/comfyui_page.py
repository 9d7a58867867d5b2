"""ComfyUI's page in a real browser, for tests."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from comfyui_server import ROOT
from page_server import CHROMIUM

READY = (
    "window.app?.extensionManager?.workflow?.activeWorkflow"  # the page's own first workflow has been opened
    " && app.extensions.some((each) => each.name === 'unrender.text')"
)
SHOWN = "[...document.querySelectorAll('textarea')].filter((each) => each.checkVisibility()).map((each) => each.value)"
NEW_WAY = "Comfy.VueNodes.Enabled"
WITH_MICRO = """(mode) => {
  const loader = LiteGraph.createNode("UnrenderLoadInterrogator");
  app.graph.add(loader);
  for (const widget of loader.widgets) if (["clip", "captioner"].includes(widget.name)) widget.value = "micro";
  const node = app.graph._nodes.find((each) => each.type === "UnrenderInterrogate");
  node.widgets.find((each) => each.name === "mode").value = mode;
  loader.connect(0, node, "interrogator");
}"""


class Page:
    def __init__(self, page: Any, url: str) -> None:
        self.page = page
        page.set_default_timeout(90_000)
        self.complaints: list[str] = []
        page.on("console", self._hear)
        page.goto(url, wait_until="domcontentloaded")
        page.wait_for_function(READY)
        page.keyboard.press("Escape")  # the templates that a first visit is offered

    def _hear(self, message: Any) -> None:
        """What the page says of our script: that a call is deprecated, or failed."""
        ours = "/extensions/unrender/" in message.location["url"] or "unrender.text" in message.text
        if message.type in ("warning", "error") and ours:
            self.complaints.append(message.text)

    def draw(self, new_way: bool) -> None:
        if new_way and not self.page.evaluate(f"app.ui.settings.settingsLookup['{NEW_WAY}']?.type === 'boolean'"):
            pytest.skip("this ComfyUI draws nodes in one way only, or hides the other as unfinished")
        self.page.evaluate(f"(on) => app.ui.settings.setSettingValueAsync('{NEW_WAY}', on)", new_way)

    def open(self, workflow: str, picture: str) -> None:
        graph = json.loads((ROOT / "workflows" / f"{workflow}.json").read_text(encoding="utf-8"))
        for node in graph["nodes"]:
            if node["type"] == "LoadImage":
                node["widgets_values"][0] = picture
        self.page.evaluate("(graph) => app.loadGraphData(graph)", graph)

    def shown(self) -> list[str]:
        """The texts in all text boxes that can be seen."""
        return [text.strip() for text in self.page.evaluate(SHOWN)]

    def run(self) -> list[str]:
        """Every text that was to be seen from then to the end, each once."""
        self.page.evaluate("() => app.queuePrompt(0, 1)")
        seen: dict[str, None] = {}
        deadline, quiet = time.monotonic() + 240, 0
        while quiet < 20:
            assert time.monotonic() < deadline, seen
            seen |= dict.fromkeys(self.shown())
            busy = self.page.evaluate("async () => (await (await fetch('/prompt')).json()).exec_info.queue_remaining")
            quiet = 0 if busy else quiet + 1
            self.page.wait_for_timeout(20)
        return list(seen)


@pytest.fixture(name="browser", scope="module")
def browser_fixture() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(name="page", params=[False, True], ids=["drawn on the canvas", "drawn by Vue"])
def page_fixture(comfyui, browser, request) -> Iterator[Page]:
    page = Page(browser.new_page(viewport={"width": 1500, "height": 1000}), comfyui.url)
    page.draw(request.param)
    yield page
    page.page.close()
