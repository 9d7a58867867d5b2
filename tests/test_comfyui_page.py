"""ComfyUI's page in a real browser, in both ways it draws nodes: what a node shows while it runs and afterwards."""

from __future__ import annotations

import pytest
import tiny_captioners
from comfyui_graphs import NAMES
from comfyui_page import WITH_MICRO, browser_fixture, page_fixture  # noqa: F401
from comfyui_server import needs_comfyui
from page_server import can_browse

pytest_plugins = ["comfyui_fixtures"]
pytestmark = [needs_comfyui, pytest.mark.skipif(not can_browse(), reason="install playwright and Chromium")]

TOYS = """() => {
  const toys = { UnrenderTagPicture: ["tagger", "micro-tagger"], UnrenderDescribePicture: ["model", "micro-chat"] };
  for (const node of app.graph._nodes.filter((each) => toys[each.type])) {
    const [name, toy] = toys[node.type];
    node.widgets.find((each) => each.name === name).value = toy;
  }
}"""
CONTROL = "find((each) => each.name === 'control_after_generate').value"

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
    assert any(text.startswith(("Reading", "Captioning", "Searching")) for text in seen), seen
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
