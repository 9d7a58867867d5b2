"""The nodes' schemas, texts, help pages and workflows, what is installed for them, and the stand-in itself."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from comfyui_graphs import CAPTIONING, DESCRIBE, EMBED, INTERROGATE, MICRO, SEARCHING, SERVER, TAG
from comfyui_nodes import LOCALE, ROOT, english_texts, node_schemas, use_standin

use_standin()


STANDIN = Path(__file__).parent / "comfyui_standin"
EMBEDDINGS = (["first", "second"], ["embedding"])
TUNED = ["image", "model", "clip", "vae"]
RENDERED = ["image", "renderings"]
MUTED = 2
GRAPHS = sorted((ROOT / "workflows" / "api").glob("*.json"))


# --- schemas and texts ---


def test_importing_the_package_imports_no_node_and_no_torch():
    code = "import sys, unrender; assert callable(unrender.comfy_entrypoint); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    import unrender

    assert not hasattr(unrender, "NODE_CLASS_MAPPINGS"), "the loader would then ignore comfy_entrypoint"
    assert (ROOT / unrender.WEB_DIRECTORY / "unrender.js").is_file()


def test_nodes_are_named_and_explained():
    for name, schema in node_schemas().items():
        assert name.startswith("Unrender") and schema.category == "unrender"
        assert schema.description.endswith(".")
        for each in [*schema.inputs, *schema.outputs]:
            assert each.tooltip and each.tooltip.endswith("."), f"{name}.{each.id} has no tooltip"
        assert not re.search(r"[a-z][A-Z]|_", schema.display_name)
        assert schema.search_aliases, "other words people look for it by"


def test_all_that_other_packs_might_have_too_is_named_by_the_project():
    """ComfyUI keeps extensions, events, routes and folders of models in one list each, whoever brought them."""
    script = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "web").glob("*.js"))
    nodes = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "nodes").glob("*.py"))
    extensions = re.findall(r"""^const extension = \{\s*name: "(.*?)\"""", script, re.MULTILINE)
    assert len(extensions) == script.count("registerExtension(") > 0
    events = re.findall(r"""addEventListener\("(.*?)\"""", script) + re.findall(r"""_EVENT = "(.*?)\"""", nodes)
    assert len(set(events)) == nodes.count("send_sync(") > 0
    assert all(name.startswith("unrender.") for name in (*extensions, *events))
    assert re.findall(r"""_FOLDER = "(.*?)\"""", nodes) == ["unrender"]
    assert ".routes" not in nodes and "api.fetchApi" not in script


def test_a_node_needs_nothing_but_its_picture():
    for name, schema in node_schemas().items():
        needed = [each.id for each in schema.inputs if not each.optional and not hasattr(each, "default")]
        assert needed in ([], ["image"], ["clip", "clip_vision"], ["image", "clip"], TUNED, RENDERED, *EMBEDDINGS), name
        for each in schema.inputs:
            if hasattr(each, "options") and each.default is not None:
                assert each.default in each.options


def test_english_texts_are_those_of_the_schemas():
    stored = json.loads(LOCALE.read_text(encoding="utf-8"))
    assert stored == english_texts(), "run python tests/comfyui_nodes.py"


def test_every_node_has_a_help_page_on_every_input_and_output():
    for name, schema in node_schemas().items():
        page = (ROOT / "web" / "docs" / f"{name}.md").read_text(encoding="utf-8")
        assert page.startswith(f"# {schema.display_name}\n")
        for each in schema.inputs:
            assert f"**{each.id.replace('_', ' ')}**" in page, f"{name}.md says nothing of {each.id}"
        for each in schema.outputs:
            assert f"**{each.display_name}**" in page, f"{name}.md says nothing of {each.display_name}"


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.stem)
def test_workflows_fit_the_schemas(path):
    schemas = node_schemas()
    graph = json.loads(path.read_text(encoding="utf-8"))
    page = json.loads((path.parents[1] / path.name).read_text(encoding="utf-8"))
    assert (path.parents[1] / f"{path.stem}.jpg").stat().st_size < 100_000, "its thumbnail"
    drawn = {
        str(node["id"]): node for node in page["nodes"] if node["type"] != "MarkdownNote" and node["mode"] != MUTED
    }
    assert {number: node["type"] for number, node in drawn.items()} == {
        number: node["class_type"] for number, node in graph.items()
    }
    for number, node in graph.items():
        schema = schemas.get(node["class_type"])
        if schema is None:
            continue
        inputs = {each.id: each for each in schema.inputs}
        given = node["inputs"]
        assert set(given) <= set(inputs)
        assert {name for name, each in inputs.items() if not each.optional} <= set(given)
        widgets = [
            given.get(name, each.default)
            for name, each in inputs.items()
            if hasattr(each, "default") and not getattr(each, "force_input", False)
        ]
        # "fixed" is the page's own widget beside a seed
        assert [each for each in drawn[number]["widgets_values"] if each != "fixed"][: len(widgets)] == widgets


def test_every_shipped_workflow_has_both_forms():
    assert len(GRAPHS) == 10
    assert [path.stem for path in GRAPHS] == sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))


def test_the_tests_know_every_input():
    def names(node: str) -> set[str]:
        return {each.id for each in node_schemas()[node].inputs}

    assert names("UnrenderInterrogate") == {*INTERROGATE, "image", "caption", "interrogator"}
    assert names("UnrenderLoadInterrogator") == {*MICRO, "other_clip"}
    assert names("UnrenderImageToPromptEmbedding") == {
        *EMBED,
        *("image", "clip", "clip_vision", "mask", "interrogator", "gap_pictures", "anchor"),
    }
    assert names("UnrenderTagPicture") == {*TAG, "image"}
    assert names("UnrenderDescribePicture") == {*DESCRIBE, "image", "describer", "clip"}
    assert names("UnrenderDescriberServer") == {*SERVER, "address", "model"}
    assert names("UnrenderInterrogatorFromClip") == {*CAPTIONING, *SEARCHING, "clip", "clip_vision"}


# --- what is installed ---


def test_nothing_that_is_installed_for_comfyui_depends_on_torch():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    waiting = [re.split(r"[<>=!~ ]", line)[0] for line in lines if line and not line.startswith("#")]
    assert waiting
    seen: set[str] = set()
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        assert name not in ("torch", "torchvision", "torchaudio", "open-clip-torch", "timm")
        if name in seen:
            continue
        seen.add(name)
        try:
            required = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        waiting += [re.split(r"[ <>=!~;\[(]", entry)[0] for entry in required if "extra ==" not in entry]


# --- the stand-in ---


@pytest.mark.skipif(
    not (os.environ.get("COMFYUI_DIR") and os.environ.get("COMFYUI_PYTHON")),
    reason="set COMFYUI_DIR to a checkout of ComfyUI and COMFYUI_PYTHON to its Python",
)
def test_the_standin_promises_nothing_that_comfyui_lacks():
    """Run in both, this file's other half prints the parameters of all that the stand-in has."""
    probe = Path(__file__).parent / "comfyui_signatures.py"
    names = subprocess.run([sys.executable, probe, STANDIN], capture_output=True, text=True, check=True).stdout
    real = subprocess.run(
        [os.environ["COMFYUI_PYTHON"], probe, os.environ["COMFYUI_DIR"], names],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    ours, theirs = json.loads(names), json.loads(real.splitlines()[-1])
    for name, parameters in ours.items():
        assert theirs[name] is not None, f"ComfyUI has no {name}"
        assert set(parameters) <= set(theirs[name]), name
