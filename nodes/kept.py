"""What nodes found, left in the files of the pictures that ComfyUI saves after them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from ..core.metadata import KEPT
from . import host

_MOST_KEPT, _MOST_LETTERS_KEPT = 64, 20_000
_MOST_RECALLED = 256

_found: dict[str, dict[str, list[str]]] = {}
"""By what a node and all before it were given."""


def keep(hidden: Any, outputs: Mapping[int, Sequence[str]]) -> None:
    """Leaves what a node found beside its title in the graph that ComfyUI writes into pictures. Nothing else takes
    notice of what stands there.

    outputs: the texts of some of its outputs, by their numbers; one for each picture.
    """
    graph, number = getattr(hidden, "prompt", None), hidden.unique_id
    kept = {
        str(output): [text[:_MOST_LETTERS_KEPT] for text in texts[:_MOST_KEPT]] for output, texts in outputs.items()
    }
    if isinstance(graph, dict) and _leave(graph, number, kept):
        found = _given(graph, number)
        _found.pop(found, None)
        _found[found] = kept
        for oldest in list(_found)[:-_MOST_RECALLED]:
            del _found[oldest]


def recall() -> None:
    """Leaves the same for a node that ComfyUI asks whether it is to run again: where it is not, nothing else would, and
    where it is, what it finds then takes the place."""
    graph, number = host.asked()
    if isinstance(graph, dict) and (kept := _found.get(_given(graph, number))):
        _leave(graph, number, kept)


def _leave(graph: dict[str, Any], number: Any, kept: dict[str, list[str]]) -> bool:
    node = graph.get(number)
    if not isinstance(node, dict) or not isinstance(node.setdefault("_meta", {}), dict):
        return False
    node["_meta"][KEPT] = kept
    return True


def _given(graph: dict[str, Any], number: Any) -> str:
    """A digest of all that a node's outputs depend on, files aside."""
    found: dict[str, Any] = {}
    wanted = [number]
    while wanted:
        each = wanted.pop()
        node = graph.get(each)
        if each not in found and isinstance(node, dict):
            inputs = node.get("inputs")
            found[each] = [node.get("class_type"), inputs]
            values = inputs.values() if isinstance(inputs, dict) else ()
            wanted += [value[0] for value in values if isinstance(value, list) and value and isinstance(value[0], str)]
    return sha256(json.dumps(found, sort_keys=True, default=repr).encode()).hexdigest()
