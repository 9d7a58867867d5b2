"""ComfyUI's own page opens workflows that were saved with fewer, more or other widgets than a node has now."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from comfyui_graphs import DESCRIBE, INTERROGATE
from comfyui_page import Page, browser_fixture, page_fixture  # noqa: F401
from comfyui_server import needs_comfyui
from page_server import can_browse
from PIL import Image, PngImagePlugin

pytest_plugins = ["comfyui_fixtures"]
pytestmark = [needs_comfyui, pytest.mark.skipif(not can_browse(), reason="install playwright and Chromium")]

SET = {**INTERROGATE, "mode": "fast", "max_phrases": 5, "movements": False, "exclude": "dogs", "suffix": "by night"}
NAMES, VALUES = list(SET), list(SET.values())
MIDDLE = 4
VALUES_NOW = """() => {
  const node = app.graph._nodes.find((each) => each.type.startsWith("Unrender"));
  const kept = node.widgets.filter((each) => each.serialize !== false);
  return Object.fromEntries(kept.map((each) => [each.name, each.value]));
}"""


def workflow(values: list[Any], names: list[str] | None = None, kind: str = "UnrenderInterrogate") -> dict[str, Any]:
    node = {
        **{"id": 1, "type": kind, "pos": [100, 100], "size": [400, 500], "flags": {}, "order": 0, "mode": 0},
        **{"inputs": [], "outputs": [], "widgets_values": values},
        "properties": {} if names is None else {"unrender_widgets": names},
    }
    return {"last_node_id": 1, "last_link_id": 0, "nodes": [node], "links": [], "groups": [], "version": 0.4}


def opened(page: Page, graph: dict[str, Any]) -> dict[str, Any]:
    """What the widgets of its node have then."""
    page.page.evaluate("(graph) => app.loadGraphData(graph)", graph)
    return page.page.evaluate(VALUES_NOW)


def subset(values: dict[str, Any], names: list[str]) -> dict[str, Any]:
    return {name: values[name] for name in names}


@pytest.mark.parametrize("named", [True, False], ids=["with names", "from before"])
def test_a_saved_workflow_has_its_values_where_they_were(page, named):
    values = opened(page, workflow(VALUES, NAMES if named else None))
    assert subset(values, NAMES) == SET
    assert not page.complaints


def test_a_middle_widget_that_is_new_or_gone_moves_no_value(page):
    fresh = opened(page, workflow(list(INTERROGATE.values())))
    fewer = [*NAMES[:MIDDLE], *NAMES[MIDDLE + 1 :]]
    values = opened(page, workflow([SET[name] for name in fewer], fewer))
    assert subset(values, fewer) == subset(SET, fewer) and values[NAMES[MIDDLE]] == fresh[NAMES[MIDDLE]]
    more = [*NAMES[:MIDDLE], "since_gone", *NAMES[MIDDLE:]]
    assert subset(opened(page, workflow([SET.get(name, "?") for name in more], more)), NAMES) == SET
    turned = list(reversed(NAMES))
    assert subset(opened(page, workflow([SET[name] for name in turned], turned)), NAMES) == SET


def test_what_follows_a_seed_is_named_too(page):
    names = [*DESCRIBE]
    names.insert(names.index("seed") + 1, "control_after_generate")
    known = {**DESCRIBE, "seed": 7, "control_after_generate": "increment", "top_p": 0.5, "quantization": "8bit"}
    fewer = [name for name in names if name != "instruction"]
    for those in (names, fewer):
        saved = workflow([known[name] for name in those], None if those == names else those, "UnrenderDescribePicture")
        assert subset(opened(page, saved), those) == subset(known, those)


def test_names_are_saved_and_go_with_copies_and_subgraphs(page):
    opened(page, workflow(VALUES))
    saved = page.page.evaluate("() => app.graph.serialize()")
    [node] = saved["nodes"]
    assert dict(zip(node["properties"]["unrender_widgets"], node["widgets_values"], strict=True)).items() >= SET.items()
    assert subset(opened(page, json.loads(json.dumps(saved))), NAMES) == SET
    copied = page.page.evaluate(
        """() => {
          const copy = app.graph._nodes[0].clone();
          return Object.fromEntries(copy.widgets.map((each) => [each.name, each.value]));
        }"""
    )
    assert subset(copied, NAMES) == SET
    if page.page.evaluate("() => 'convertToSubgraph' in app.graph"):
        inside = page.page.evaluate(
            """async () => {
              app.graph.convertToSubgraph(new Set(app.graph._nodes));
              const saved = JSON.parse(JSON.stringify(app.graph.serialize()));
              const node = saved.definitions.subgraphs[0].nodes[0];
              const at = node.properties.unrender_widgets.indexOf("movements");
              for (const list of [node.widgets_values, node.properties.unrender_widgets]) list.splice(at, 1);
              await app.loadGraphData(saved);
              const again = [...app.graph.subgraphs.values()][0].nodes[0];
              return Object.fromEntries(again.widgets.map((each) => [each.name, each.value]));
            }"""
        )
        assert subset(inside, NAMES) == {**SET, "movements": True}


def test_a_picture_brings_its_workflow_with_the_values_where_they_were(page, tmp_path):
    fewer = [*NAMES[:MIDDLE], *NAMES[MIDDLE + 1 :]]
    texts = PngImagePlugin.PngInfo()
    texts.add_text("workflow", json.dumps(workflow([SET[name] for name in fewer], fewer)))
    Image.new("RGB", (8, 8)).save(tmp_path / "made.png", pnginfo=texts)
    page.page.evaluate(
        """async (letters) => {
          const bytes = Uint8Array.from(atob(letters), (letter) => letter.charCodeAt(0));
          await app.handleFile(new File([bytes], "made.png", { type: "image/png" }));
        }""",
        _letters(tmp_path / "made.png"),
    )
    page.page.wait_for_function("app.graph._nodes.some((each) => each.type === 'UnrenderInterrogate')")
    assert subset(page.page.evaluate(VALUES_NOW), fewer) == subset(SET, fewer)


def _letters(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def test_a_prompt_for_the_api_has_names_anyway(page):
    inputs = {name: value for name, value in SET.items() if name != "movements"}
    prompt = {"1": {"class_type": "UnrenderInterrogate", "inputs": inputs}}
    page.page.evaluate("(prompt) => app.loadApiJson(prompt, 'api.json')", prompt)
    page.page.wait_for_function("app.graph._nodes.some((each) => each.type === 'UnrenderInterrogate')")
    assert subset(page.page.evaluate(VALUES_NOW), [*inputs]) == inputs
