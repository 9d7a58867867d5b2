"""A ComfyUI graph as it was run: nodes, their inputs, and the links between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .json_text import object_in

MOST_LETTERS = 8 * 2**20
MOST_NODES = 50_000
KEPT = "unrender"
"""Beside a node's title in `_meta`: what one of our nodes gave out at run time, by the number of its output."""

OWN_NAMES = {
    "UnrenderInterrogate": "Interrogate Picture (Image to Text)",
    "UnrenderReadImagePrompt": "Read Image Prompt",
    "UnrenderAnalyze": "Analyze Picture",
    "UnrenderMatchPhrases": "Match Phrases",
}
"""What our own nodes that give out texts are called on the page."""

Link = tuple[str, int]
"""A node's id and the number of its output."""


@dataclass(frozen=True)
class Node:
    """kept: the texts of its outputs at run time, by number, where the file has them. outputs: their names, likewise.
    shown: what the page showed on it when the graph was saved."""

    key: str
    kind: str
    inputs: Mapping[str, Any]
    title: str = ""
    kept: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    shown: str = ""

    @property
    def called(self) -> str:
        """How a note speaks of it."""
        named = self.title if self.title and self.title != self.kind else OWN_NAMES.get(self.kind, "")
        return f"{named} ({self.kind} #{self.key})" if named else f"{self.kind} #{self.key}"


@dataclass(frozen=True)
class Graph:
    nodes: Mapping[str, Node]

    def link(self, value: Any) -> Link | None:
        """Where a value comes from; None for one that stands in the input itself, or comes from nowhere."""
        if not isinstance(value, list) or len(value) != 2 or isinstance(value[1], bool):
            return None
        key, slot = value
        if not isinstance(key, (str, int)) or not isinstance(slot, int):
            return None
        return (str(key), slot) if str(key) in self.nodes else None

    def links(self, node: Node) -> Iterator[tuple[str, Link]]:
        """The inputs of a node that come from other nodes."""
        for name, value in node.inputs.items():
            link = self.link(value)
            if link is not None:
                yield name, link

    @cached_property
    def users(self) -> Mapping[str, list[str]]:
        """By node, the nodes that take something from it."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for node in self.nodes.values():
            for _, (key, _) in self.links(node):
                found[key].append(node.key)
        return found


def graph_of(prompt: str, workflow: str = "") -> Graph | None:
    """The graph in the text that ComfyUI calls "prompt"; None where the text is something else.

    workflow: the page's own account of the graph, from which come the names of outputs and what nodes showed.
    """
    values = object_in(prompt) if len(prompt) <= MOST_LETTERS else None
    if values is None or len(values) > MOST_NODES:
        return None
    nodes = {str(key): value for key, value in values.items() if _is_node(value)}
    if not nodes:
        return None
    seen = _seen(object_in(workflow) if 0 < len(workflow) <= MOST_LETTERS else None)
    return Graph({key: _node(key, value, seen.get(key, {})) for key, value in nodes.items()})


def _is_node(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("class_type"), str)


def _node(key: str, value: Mapping[str, Any], seen: Mapping[str, Any]) -> Node:
    inputs, meta = value.get("inputs"), value.get("_meta")
    meta = meta if isinstance(meta, dict) else {}
    return Node(
        key,
        value["class_type"][:200],
        inputs if isinstance(inputs, dict) else {},
        _text(meta.get("title"))[:80],
        _kept(meta.get(KEPT)),
        tuple(_text(each.get("name")) for each in _objects(seen.get("outputs"))),
        _shown(seen),
    )


def _kept(value: Any) -> dict[int, tuple[str, ...]]:
    if not isinstance(value, dict):
        return {}
    return {
        int(slot): tuple(text for text in texts[:64] if isinstance(text, str))
        for slot, texts in value.items()
        if isinstance(slot, str) and slot.isascii() and slot.isdigit() and len(slot) < 4 and isinstance(texts, list)
    }


def _seen(workflow: Mapping[str, Any] | None) -> dict[str, Mapping[str, Any]]:
    """The page's nodes by id; those inside subgraphs are not among them."""
    nodes = _objects(workflow.get("nodes")) if workflow else []
    return {str(node.get("id")): node for node in nodes}


def _shown(seen: Mapping[str, Any]) -> str:
    """What the page keeps of a node that shows a text: our own in its properties, others in their widgets."""
    properties, widgets = seen.get("properties"), seen.get("widgets_values")
    own = properties.get("unrender_text") if isinstance(properties, dict) else None
    while isinstance(widgets, list) and len(widgets) == 1 and isinstance(widgets[0], list):
        widgets = widgets[0]
    last = widgets[-1] if isinstance(widgets, list) and widgets else None
    return _text(own) or _text(last)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
