"""A ComfyUI graph as the page saves it: nodes with the values of their widgets in a row, links in a list, subgraphs.

It is read where a file has nothing better: what the widgets are called is in newer workflows only, and known here for
the nodes that nearly every graph has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .graph import MOST_LETTERS, Graph, Node
from .json_text import object_in

MOST_NODES = 20_000
_MOST_DEPTH = 12
_MUTED, _BYPASSED = 2, 4
_AFTER_SEEDS = {"fixed", "increment", "decrement", "randomize", "increment-wrap"}
_SEEDS = ("seed", "noise_seed")
_FROM_OUTSIDE, _TO_OUTSIDE = "-10", "-20"
"""The ids that stand for a subgraph's own inputs and outputs."""

_WIDGETS = {
    "CLIPTextEncode": ("text",),
    "CheckpointLoaderSimple": ("ckpt_name",),
    "UNETLoader": ("unet_name",),
    "KSampler": ("seed", "steps", "cfg", "sampler_name", "scheduler", "denoise"),
    "KSamplerAdvanced": (
        *("add_noise", "noise_seed", "steps", "cfg", "sampler_name", "scheduler", "start_at_step", "end_at_step"),
        "return_with_leftover_noise",
    ),
    "SamplerCustom": ("add_noise", "noise_seed", "cfg"),
    "RandomNoise": ("noise_seed",),
    "KSamplerSelect": ("sampler_name",),
    "BasicScheduler": ("scheduler", "steps", "denoise"),
    "CFGGuider": ("cfg",),
    "FluxGuidance": ("guidance",),
    "SaveImage": ("filename_prefix",),
    "PrimitiveNode": ("value",),
    "PrimitiveString": ("value",),
    "PrimitiveStringMultiline": ("value",),
    "StringConcatenate": ("string_a", "string_b", "delimiter"),
    "CLIPTextEncodeSDXL": (
        *("width", "height", "crop_w", "crop_h", "target_width", "target_height", "text_g", "text_l"),
    ),
    "CLIPTextEncodeFlux": ("clip_l", "t5xxl", "guidance"),
    "SetNode": ("name",),
    "GetNode": ("name",),
}

Source = tuple[str, int]


@dataclass
class _Scope:
    """A workflow, or what is inside a node that is a subgraph. links: where each comes from, by its id. given: where
    each output of the subgraph comes from, by its number."""

    prefix: str
    nodes: dict[str, Mapping[str, Any]]
    links: dict[str, Source]
    given: dict[int, Source]
    outer: _Scope | None = None
    instance: Mapping[str, Any] = field(default_factory=dict)
    inner: dict[str, _Scope] = field(default_factory=dict)
    set_there: dict[str, Source] = field(default_factory=dict)


def graph_of_workflow(text: str) -> Graph | None:
    """The graph as the page would run it, with nodes of subgraphs as "outer:inner"; None where the text is no workflow,
    or one without a node."""
    workflow = object_in(text) if 0 < len(text) <= MOST_LETTERS else None
    if workflow is None or not _objects(workflow.get("nodes")):
        return None
    inside = workflow.get("definitions")
    subgraphs = _objects(inside.get("subgraphs")) if isinstance(inside, dict) else []
    nodes: dict[str, Node] = {}
    for scope in _scopes(workflow, {str(each.get("id")): each for each in subgraphs}):
        for key, node in scope.nodes.items():
            if key not in scope.inner and node.get("mode") != _MUTED and len(nodes) < MOST_NODES:
                nodes[scope.prefix + key] = _node(scope, key, node)
    return Graph(nodes) if nodes else None


def _scopes(workflow: Mapping[str, Any], subgraphs: Mapping[str, Mapping[str, Any]]) -> list[_Scope]:
    """The workflow, and each subgraph as often as it is used. One made to be slow uses another twice, and so on."""
    scopes = [_scope("", workflow)]
    count, place = len(scopes[0].nodes), 0
    while place < len(scopes):
        scope, place = scopes[place], place + 1
        for key, node in scope.nodes.items():
            inner = subgraphs.get(str(node.get("type")))
            if inner is None or count > MOST_NODES or scope.prefix.count(":") >= _MOST_DEPTH:
                continue
            made = _scope(f"{scope.prefix}{key}:", inner)
            made.outer, made.instance = scope, node
            scope.inner[key] = made
            scopes.append(made)
            count += len(made.nodes) + 1
    return scopes


def _scope(prefix: str, graph: Mapping[str, Any]) -> _Scope:
    nodes: dict[str, Mapping[str, Any]] = {
        str(node.get("id")): node for node in _objects(graph.get("nodes"))[:MOST_NODES]
    }
    scope = _Scope(prefix, nodes, {}, {})
    links = graph.get("links")
    for link in links if isinstance(links, list) else []:
        row = _row(link)
        if row is None:
            continue
        key, source, target, target_slot = row
        scope.links[key] = source
        if target == _TO_OUTSIDE:
            scope.given[target_slot] = source
    for node in nodes.values():
        name = dict(_widgets(str(node.get("type")), node)).get("name")
        fed = next((scope.links.get(str(each.get("link"))) for each in _objects(node.get("inputs"))), None)
        if node.get("type") == "SetNode" and isinstance(name, str) and fed is not None:
            scope.set_there[name] = fed
    return scope


def _row(link: Any) -> tuple[str, Source, str, int] | None:
    """Id, source, target and its input's number: a row in a workflow, an object in a subgraph."""
    if isinstance(link, dict):
        link = [link.get(name) for name in ("id", "origin_id", "origin_slot", "target_id", "target_slot")]
    if not isinstance(link, list) or len(link) < 5 or not isinstance(link[2], int) or not isinstance(link[4], int):
        return None
    return str(link[0]), (str(link[1]), link[2]), str(link[3]), link[4]


def _node(scope: _Scope, key: str, node: Mapping[str, Any]) -> Node:
    kind = str(node.get("type"))[:200]
    inputs = dict(_widgets(kind, node))
    if kind == "GetNode" and str(inputs.get("name")) in scope.set_there:
        inputs = {"": _found(scope, scope.set_there[str(inputs["name"])])}
    for each in _objects(node.get("inputs")):
        source = scope.links.get(str(each.get("link")))
        if source is not None:
            inputs[str(each.get("name"))] = _found(scope, source)
    outputs = tuple(str(each.get("name")) for each in _objects(node.get("outputs")))
    if node.get("mode") == _BYPASSED:
        kind, inputs = "Reroute", _passed(node, inputs)
    return Node(scope.prefix + key, kind, inputs, str(node.get("title") or "")[:80], outputs=outputs)


def _found(scope: _Scope, source: Source) -> Any:
    """A link to the node that a source is in the end, through the walls of subgraphs; or the value given there."""
    for _ in range(4 * _MOST_DEPTH):
        key, slot = source
        if key == _FROM_OUTSIDE:
            entries = _objects(scope.instance.get("inputs"))
            entry = entries[slot] if 0 <= slot < len(entries) else {}
            found = None if scope.outer is None else scope.outer.links.get(str(entry.get("link")))
            if scope.outer is None or found is None:
                return dict(_widgets("", scope.instance)).get(str(entry.get("name")))
            scope, source = scope.outer, found
        elif key in scope.inner:
            scope = scope.inner[key]
            if slot not in scope.given:
                return None
            source = scope.given[slot]
        else:
            return [scope.prefix + key, slot]
    return None


def _passed(node: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a bypassed node hands on: the first of its inputs that is of its first output's kind."""
    outputs = _objects(node.get("outputs"))
    kind = outputs[0].get("type") if outputs else None
    names = [str(each.get("name")) for each in _objects(node.get("inputs")) if each.get("type") == kind]
    return {"": next((inputs[name] for name in names if name in inputs), None)}


def _widgets(kind: str, node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The values of a node's widgets by name. Behind a seed stands what is to be done with it after a run."""
    values = node.get("widgets_values")
    if isinstance(values, dict):
        yield from ((str(name), value) for name, value in values.items() if not isinstance(value, (list, dict)))
        return
    names = [
        str(each["widget"].get("name")) for each in _objects(node.get("inputs")) if isinstance(each.get("widget"), dict)
    ]
    known = _WIDGETS.get(kind, ())
    names = list(known) if len(known) > len(names) else names
    left = list(values) if isinstance(values, list) else []
    if not names and len(left) == 1:
        names = ["value"]
    for name in names:
        if not left:
            return
        value = left.pop(0)
        if not isinstance(value, (list, dict)):
            yield name, value
        if name in _SEEDS and left and left[0] in _AFTER_SEEDS:
            left.pop(0)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
