"""ComfyUI's page in a real browser, in both ways it draws nodes: what a node shows while it runs and afterwards."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import tiny_captioners
from comfyui_graphs import NAMES
from comfyui_server import ROOT, needs_comfyui
from page_server import CHROMIUM, can_browse

pytest_plugins = ["comfyui_fixtures"]
pytestmark = [needs_comfyui, pytest.mark.skipif(not can_browse(), reason="install playwright and Chromium")]

READY = (
    "window.app?.extensionManager?.workflow?.activeWorkflow"  # the page's own first workflow has been opened
    " && app.extensions.some((each) => each.name === 'unrender.text')"
)
SHOWN = "[...document.querySelectorAll('textarea')].filter((each) => each.checkVisibility()).map((each) => each.value)"
NEW_WAY = "Comfy.VueNodes.Enabled"

TOYS = """() => {
  const toys = { UnrenderTagPicture: ["tagger", "micro-tagger"], UnrenderDescribePicture: ["model", "micro-chat"] };
  for (const node of app.graph._nodes.filter((each) => toys[each.type])) {
    const [name, toy] = toys[node.type];
    node.widgets.find((each) => each.name === name).value = toy;
  }
}"""
CONTROL = "find((each) => each.name === 'control_after_generate').value"

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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(params=[False, True], ids=["drawn on the canvas", "drawn by Vue"])
def page(comfyui, browser, request) -> Iterator[Page]:
    page = Page(browser.new_page(viewport={"width": 1500, "height": 1000}), comfyui.url)
    page.draw(request.param)
    yield page
    page.page.close()


FOUND_BY_NAME = ("image to text", "interrogate", "CLIP interrogator", "caption", "picture to text", "image to prompt")
FOUND_BY_ALIAS = ("describe", "tagger", "prompt from image", "img2txt", "describe image", "image caption", "clip score")
ROWS = """[...document.querySelectorAll('[role=option]')].filter((each) => each.checkVisibility())
  .map((each) => each.innerText.trim()).filter((text) => text)"""


def test_comfyuis_search_has_the_nodes_in_its_first_rows(page, comfyui):
    aliases = "search_aliases" in comfyui.get("/object_info/UnrenderInterrogate")["UnrenderInterrogate"]
    page.page.evaluate("() => app.graph.clear()")
    page.page.evaluate("() => app.extensionManager.command.execute('Workspace.SearchBox.Toggle')")
    page.page.wait_for_function("document.activeElement?.role === 'combobox'")
    ours = {info["display_name"] for name, info in comfyui.get("/object_info").items() if name.startswith("Unrender")}
    for words in (*FOUND_BY_NAME, *(FOUND_BY_ALIAS if aliases else ())):
        page.page.keyboard.press("ControlOrMeta+a")
        page.page.keyboard.type(words)
        page.page.wait_for_timeout(1000)
        first = page.page.evaluate(ROWS)[:3]
        assert any(row.startswith(name) for row in first for name in ours), (words, first)


def test_comfyuis_page_shows_downloads_and_then_the_prompt(page, comfyui, hub, clip_in_the_hub, tmp_path):
    """With the picture alone, as on a fresh ComfyUI. The models have the real ones' names and random weights."""
    captioner = tiny_captioners.blip(tmp_path / "blip")
    hub.repos["Salesforce/blip-image-captioning-large"] = {path.name: path.read_bytes() for path in captioner.iterdir()}
    comfyui.forget()
    page.open("Interrogate a picture", NAMES[1])
    before = page.page.evaluate("() => app.graph.serialize().nodes.map((each) => each.widgets_values)")
    seen = page.run()
    assert any(text.startswith("Downloading ") and " MB" in text for text in seen), seen
    assert comfyui.last_run().text("2")[0] in page.shown()
    assert page.page.evaluate("() => app.graph.serialize().nodes.map((each) => each.widgets_values)") == before


def test_comfyuis_page_shows_progress_and_prompt_in_a_subgraph(page, comfyui):
    page.open("Interrogate a picture", NAMES[2])
    if not page.page.evaluate("() => 'convertToSubgraph' in app.graph"):
        pytest.skip("this ComfyUI has no subgraphs")
    page.page.evaluate(WITH_MICRO, "best")
    page.page.evaluate(
        """() => {
          const inside = app.graph._nodes.filter((each) => each.type.startsWith("Unrender"));
          const { node } = app.graph.convertToSubgraph(new Set(inside));
          app.canvas.setGraph(node.subgraph);
        }"""
    )
    comfyui.forget()
    seen = page.run()
    assert any(text.startswith(("Captioning", "Searching")) for text in seen), seen
    assert comfyui.last_run().texts()[0] in page.shown()


def test_comfyuis_page_keeps_the_prompt_with_the_workflow_and_when_a_run_fails(page, comfyui):
    page.open("Interrogate a picture", NAMES[0])
    page.page.evaluate(WITH_MICRO, "fast")
    page.run()
    [prompt] = comfyui.last_run().texts()
    page.page.wait_for_selector(".p-toast:has-text('Micro is a toy')")  # beside the prompt, not in it
    boxes = "() => app.graph._nodes.filter((each) => each.widgets?.some((one) => one.name === 'unrender_text'))"
    assert page.page.evaluate(f"({boxes})().map((each) => each.type)") == ["UnrenderInterrogate"], "no empty ones"

    saved = page.page.evaluate("() => app.graph.serialize()")
    page.open("Interrogate a picture", NAMES[1])
    assert prompt not in page.shown()
    page.page.evaluate("(graph) => app.loadGraphData(graph)", saved)
    page.page.wait_for_timeout(1000)
    assert prompt in page.shown()

    page.page.evaluate(
        """() => {
          const loader = app.graph._nodes.find((each) => each.type === "UnrenderLoadInterrogator");
          loader.widgets.find((each) => each.name === "other_clip").value = "nobody/nothing";
        }"""
    )
    page.run()
    assert "nobody/nothing" in comfyui.last_run().error
    assert prompt in page.shown()
    assert not page.complaints


def test_comfyuis_page_shows_tags_and_a_description_and_keeps_the_seed(page, comfyui):
    page.open("Tag and describe a picture", NAMES[1])
    page.page.evaluate(TOYS)
    page.run()
    first = comfyui.last_run()
    shown = page.shown()
    assert first.text("2")[0] in shown and first.text("3")[0] in shown
    page.run()
    assert comfyui.last_run().cached >= {"2", "3"}, "the same words are not written anew"
    fresh = (
        "() => { const node = LiteGraph.createNode('UnrenderDescribePicture'); app.graph.add(node); return node.widgets"
    )
    assert page.page.evaluate(f"{fresh}.{CONTROL}; }}") == "fixed"
    assert not page.complaints
