"""Builds the extension's page with whatever gradio this Python has, and nothing else of the project's needs, and prints
the page as JSON: the gradio, the elements' ids, and the events as the ids of their inputs and outputs."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(
        "page_under_test", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec and spec.loader
    if "page_under_test" not in sys.modules:
        package = importlib.util.module_from_spec(spec)
        sys.modules["page_under_test"] = package
        spec.loader.exec_module(package)
    return importlib.import_module(f"page_under_test.{name}")


def build() -> dict[str, Any]:
    import gradio as gr

    service, pages, host_parts = load("server.service"), load("server.pages"), load("server.host")
    toolbar = load("extension.toolbar")
    section = load("extension.section").section
    settings = load("core.settings").Settings
    host = host_parts.alone(settings(clip="micro"))
    made = service.Service(host, str, ["blip-large", "micro"], ["built-in"])
    with gr.Blocks() as blocks:
        bar = toolbar.Toolbar(
            made, lambda value, elem_id, tooltip, visible=True: gr.Button(value, elem_id=elem_id, visible=visible)
        )
        bar.after_component(gr.Textbox(elem_id="img2img_prompt"), elem_id="img2img_prompt")
        bar.after_component(gr.Button("deepbooru", elem_id="deepbooru"), elem_id="deepbooru")
        for name in ("img2img_image", "img2img_sketch", "img2maskimg", "inpaint_sketch", "img_inpaint_base"):
            bar.after_component(gr.Image(elem_id=name), elem_id=name)
        section("txt2img", lambda: ["cat.safetensors"], lambda _, choices, elem_id: gr.Button(elem_id=elem_id))
        pages.build(made, ["txt2img", "img2img"])
    return described(blocks)


def described(blocks: Any) -> dict[str, Any]:
    import gradio as gr

    config = blocks.get_config_file()
    ids = {block["id"]: block["props"].get("elem_id") or block["type"] for block in config["components"]}
    events = [
        {
            "on": [
                ids.get(target[0] if isinstance(target, list | tuple) else target) for target in dependency["targets"]
            ],
            "inputs": [ids[number] for number in dependency["inputs"]],
            "outputs": [ids[number] for number in dependency["outputs"]],
            "js": str(dependency.get("js") or ""),
        }
        for dependency in config["dependencies"]
    ]
    values = {ids[block["id"]]: block["props"].get("value") for block in config["components"]}
    heavy = sorted({"torch", "transformers", "open_clip"} & set(sys.modules))
    return {
        "gradio": gr.__version__,
        "elements": sorted(ids.values()),
        "rows": _rows(config["layout"], ids),
        "events": events,
        "values": values,
        "heavy": heavy,
    }


def _rows(layout: dict[str, Any], ids: dict[int, str]) -> dict[str, list[str]]:
    """What each block with an id of its own holds."""
    children = layout.get("children") or []
    own = {ids[layout["id"]]: [ids[child["id"]] for child in children]} if layout.get("id") in ids and children else {}
    for child in children:
        own |= _rows(child, ids)
    return own


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(build(), default=str))
