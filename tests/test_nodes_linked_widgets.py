"""What a link brings into a widget's place: whatever a switch or another pack's node gives, which ComfyUI does not look
at. It is taken where the widget could have it, and refused in a sentence where not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from comfyui_nodes import use_standin
from hostile_calls import WIDGETS

use_standin()

from nodes_setting import models_fixture, server_fixture  # noqa: E402, F401
from test_nodes_hostile import executed, links, nodes, sentence, setting_fixture  # noqa: E402, F401
from unrender.core.errors import SettingsError, UnrenderError  # noqa: E402
from unrender.nodes.host import io  # noqa: E402
from unrender.nodes.widgets import holds_to_widgets  # noqa: E402

NO_VALUES = (None, [], [1, 2], {}, {"a": "b"}, object(), torch.zeros(3), np.zeros(2))
WRONG: dict[str, tuple[Any, ...]] = {
    "STRING": (*NO_VALUES, 3, 1.5, True),
    "COMBO": (*NO_VALUES, 3, 1.5, True),
    "INT": (*NO_VALUES, "x", "3", 1.5, float("nan"), float("inf")),
    "FLOAT": (*NO_VALUES, "x", "3"),
    "BOOLEAN": (*NO_VALUES, "x", "false", 0.5),
}


def widgets(name: str) -> list[Any]:
    return [each for each in nodes()[name].define_schema().inputs if each.kind in WRONG]


@pytest.mark.parametrize("name", WIDGETS)
def test_no_widget_takes_what_it_could_not_have(setting, name):
    tried = 0
    for widget in widgets(name):
        for value in WRONG[widget.kind]:
            if value is None and widget.optional:
                continue
            with pytest.raises(SettingsError, match=f"^{widget.id.replace('_', ' ')} takes ") as caught:
                executed(name, {**WIDGETS[name], **links(name, optional=False), widget.id: value})
            sentence(caught.value)
            tried += 1
    assert tried or not widgets(name)


def declared(*inputs: Any, is_list: bool = False) -> Any:
    """A node that gives back what it was given."""

    class Node(io.ComfyNode):
        @classmethod
        def define_schema(cls) -> io.Schema:
            return io.Schema(node_id="x", display_name="x", inputs=list(inputs), is_input_list=is_list)

        @classmethod
        @holds_to_widgets
        def execute(cls, **given: Any) -> Any:
            return given

    return Node


def test_a_widget_takes_numbers_as_other_nodes_give_them(server):
    node = declared(io.Int.Input("a", min=0, max=9), io.Float.Input("b", min=0.0, max=9.0), io.Boolean.Input("c"))
    given = node.execute(a=3.0, b=np.float32(2), c=np.True_)
    assert given == {"a": 3, "b": 2.0, "c": True} and [type(each) for each in given.values()] == [int, float, bool]
    assert node.execute(a=np.int64(3), b=2, c=0) == {"a": 3, "b": 2.0, "c": False}


@pytest.mark.parametrize("is_list", [False, True])
def test_nothing_for_an_optional_input_leaves_it_out(server, is_list):
    node = declared(io.String.Input("a", optional=True), io.Image.Input("b", optional=True), is_list=is_list)
    assert node.execute(a=[None] if is_list else None) == {}


def test_of_a_list_each_value_counts(server):
    node = declared(io.String.Input("a"), io.Image.Input("b"), is_list=True)
    assert node.execute(a=["x", "y"], b=[1, None]) == {"a": ["x", "y"], "b": [1, None]}
    assert node.execute(a=[]) == {"a": []}
    with pytest.raises(UnrenderError, match="a takes a text, and 3 stands there"):
        node.execute(a=["x", 3])


def test_an_empty_list_gives_a_node_nothing(setting):
    """ComfyUI calls one that has no other input without any."""
    for name in ("UnrenderLoadPromptEmbedding", "UnrenderReadImagePrompt"):
        with pytest.raises(SettingsError, match=r"There is nothing in what is connected to (name|image)"):
            nodes()[name].execute()
