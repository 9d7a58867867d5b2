"""A saved workflow's values find their widgets by name: the page's script for that, run by itself."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from comfyui_nodes import ROOT, node_schemas

SCRIPT = ROOT / "web" / "widgets.js"
NODE = shutil.which("node")
INTERROGATE = ("mode", "max_phrases", "artists", "mediums", "movements", "sites", "flavors", "exclude")
SAVED = ["fast", 3, True, False, True, False, True, "dogs"]
GONE: set[str] = set()
"""Widgets that nodes had once and have no more, as node.widget."""

runs_scripts = pytest.mark.skipif(NODE is None, reason="install node")


def before_names() -> dict[str, list[str]]:
    table = re.search(r"BEFORE_NAMES = (\{.*?\n\});", SCRIPT.read_text(encoding="utf-8"), re.DOTALL)
    assert table
    return json.loads(table[1])


def widgets_of(node: str) -> list[str]:
    """What the page makes of a schema: required inputs first, and beside a seed and an upload a widget of its own."""
    inputs = sorted(node_schemas()[node].inputs, key=lambda each: each.optional)
    names: list[str] = []
    for each in inputs:
        if hasattr(each, "default") and not getattr(each, "force_input", False):
            names += [each.id, *_beside(each)]
    return names


def _beside(each: Any) -> list[str]:
    if getattr(each, "upload", None):
        return ["upload"]
    return ["control_after_generate"] if each.id == "seed" else []


def run(tmp_path: Path, call: str, **values: Any) -> Any:
    """What the script makes of the saved node."""
    (tmp_path / "widgets.mjs").write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    given = ", ".join(f"{name} = {json.dumps(value)}" for name, value in values.items())
    code = (
        'import { nameValues, orderValues } from "./widgets.mjs";\n'
        f"const {given};\n{call};\nconsole.log(JSON.stringify(saved));"
    )
    (tmp_path / "run.mjs").write_text(code, encoding="utf-8")
    done = subprocess.run([str(NODE), "run.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def node(*names: str) -> dict[str, Any]:
    return {"widgets": [{"name": name, "value": f"{name}'s default"} for name in names]}


def ordered(tmp_path: Path, widgets: tuple[str, ...], **saved: Any) -> list[Any]:
    saved = {"type": "UnrenderInterrogate", **saved}
    return run(tmp_path, "orderValues(node, saved)", node=node(*widgets), saved=saved)["widgets_values"]


def test_what_was_saved_without_names_is_known_of_every_node_of_then():
    for name, widgets in before_names().items():
        assert [each for each in widgets if each not in widgets_of(name) and f"{name}.{each}" not in GONE] == []
    assert before_names().keys() <= node_schemas().keys()


def test_widgets_that_were_saved_without_names_are_where_they_were():
    """A page without our script, and what reads workflows elsewhere, goes by the place: new widgets come last."""
    for name, widgets in before_names().items():
        there = [each for each in widgets if f"{name}.{each}" not in GONE]
        assert widgets_of(name)[: len(there)] == there


@runs_scripts
def test_values_are_saved_with_their_names(tmp_path):
    box = {"name": "unrender_text", "value": "a prompt", "serialize": False}
    seen = {"widgets": [*node("mode", "exclude")["widgets"], box]}
    for values in (["a", "b"], ["a", "b", None]):  # the newer pages, the older ones
        saved = {"properties": {"cnr_id": "unrender"}, "widgets_values": values}
        told = run(tmp_path, "nameValues(node, saved)", node=seen, saved=saved)
        assert told["properties"]["unrender_widgets"][:2] == ["mode", "exclude"]
        assert "unrender_text" not in told["properties"]["unrender_widgets"]
        assert told["properties"]["cnr_id"] == "unrender" and told["widgets_values"] == values


@runs_scripts
def test_a_middle_widget_that_is_new_or_gone_moves_no_value(tmp_path):
    names = {"unrender_widgets": list(INTERROGATE)}
    wider = (*INTERROGATE[:1], "pin", *INTERROGATE[1:])
    assert ordered(tmp_path, wider, widgets_values=SAVED, properties=names) == ["fast", "pin's default", *SAVED[1:]]
    narrower = (*INTERROGATE[:1], *INTERROGATE[2:])
    assert ordered(tmp_path, narrower, widgets_values=SAVED, properties=names) == [SAVED[0], *SAVED[2:]]
    turned = ordered(tmp_path, tuple(reversed(INTERROGATE)), widgets_values=SAVED, properties=names)
    assert turned == list(reversed(SAVED))


@runs_scripts
def test_values_without_names_are_those_of_the_node_as_it_was(tmp_path):
    wider = (*INTERROGATE[:1], "pin", *INTERROGATE[1:])
    assert ordered(tmp_path, wider, widgets_values=SAVED) == ["fast", "pin's default", *SAVED[1:]]
    assert ordered(tmp_path, wider, widgets_values=SAVED[:2])[:3] == ["fast", "pin's default", 3]
    stale = {"unrender_widgets": ["exclude", "mode"]}  # saved again by a version that knew of no names
    assert ordered(tmp_path, wider, widgets_values=SAVED, properties=stale)[2:] == SAVED[1:]
    named = dict(zip(reversed(INTERROGATE), reversed(SAVED), strict=True))  # as the newest pages name them
    values = list(named.values())
    assert ordered(tmp_path, INTERROGATE, widgets_values=values, widgets_values_named=named) == SAVED


@runs_scripts
def test_an_embedding_from_before_there_were_qualities_is_of_the_projection_it_named(tmp_path):
    values = ["ridge", 0.5, "in winter", 0.6, "mean", "2, 1", "pad", 0.25, 0.05]
    widgets = tuple(widgets_of("UnrenderImageToPromptEmbedding"))
    kept = ordered(tmp_path, widgets, type="UnrenderImageToPromptEmbedding", widgets_values=values)
    assert dict(zip(widgets, kept, strict=True)) == {
        **dict(zip(before_names()["UnrenderImageToPromptEmbedding"], values, strict=True)),
        "quality": "quality's default",
        "tokens": "tokens's default",
    }


@runs_scripts
def test_what_is_read_twice_is_read_as_once(tmp_path):
    saved = {"type": "UnrenderInterrogate", "widgets_values": SAVED}
    wider = node(*INTERROGATE[:1], "pin", *INTERROGATE[1:])
    once = run(tmp_path, "orderValues(node, saved)", node=wider, saved=saved)
    assert run(tmp_path, "orderValues(node, saved)", node=wider, saved=once) == once


@runs_scripts
@pytest.mark.parametrize(
    "saved",
    [
        {"type": "UnrenderInterrogate", "widgets_values": {"mode": "fast"}},
        {"type": "UnrenderInterrogate", "widgets_values": list(range(40))},
        {"type": "UnrenderInterrogate", "widgets_values": None},
        {"type": "UnrenderTomorrow", "widgets_values": [1]},
        {"type": "UnrenderInterrogate"},
    ],
    ids=["a map", "more than there were", "null", "a node of another version", "nothing"],
)
def test_values_that_cannot_be_named_stay_as_they_are(tmp_path, saved):
    assert run(tmp_path, "orderValues(node, saved)", node=node(*INTERROGATE), saved=saved) == saved
