"""The way of a picture through a graph: which node put it out, and which samplers it came from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import PurePath

from . import graph_switches as switches
from .graph import Graph, Node
from .graph_roles import BUNDLES, PICTURE, POSITIVE, SAMPLES, SAVES, SHOWS, SIDE_INPUTS, STAGES
from .graph_walk import Walk

MOST_SAMPLERS = 12
_MOST_LINKS_PASSED = 4
_TEMPORARY = "ComfyUI_temp_"
_NO_SAMPLERS = re.compile(
    r"select|provider|hook|preview|config|info|scheduler|sigmas|guider|presampl|^(to|from|edit)\w*pipe", re.I
)
_DRAWS = ("steps", "seed", "noise_seed", "sampler_name", "sigmas", "noise")
_PROMPTED = ("prompt", "positive", "positive_prompt", "text_prompt")


class Ways:
    def __init__(self, graph: Graph, walk: Walk) -> None:
        self._graph = graph
        self._walk = walk

    def outputs(self, file_name: str) -> list[Node]:
        """The nodes that may have put this picture out: by the file's name; else those that save, those that show, and
        any that nothing follows."""
        nodes = self._graph.nodes.values()
        ends = [node for node in nodes if not self._graph.users.get(node.key) or SAVES.search(node.kind)]
        ends = [node for node in ends if node.key in self._behind] or ends
        saving = [node for node in ends if SAVES.search(node.kind) and not SHOWS.search(node.kind)]
        showing = [node for node in ends if SHOWS.search(node.kind)]
        if PurePath(file_name).name.startswith(_TEMPORARY):
            return showing or saving or ends
        return [node for node in saving if _gives_name(node, file_name)] or saving or showing or ends

    def samplers(self, outputs: Iterable[Node]) -> tuple[list[Node], list[Node]]:
        """The samplers that composed what the outputs have, and those that worked on it afterwards."""
        bases, later = [], []
        for node in self._on_the_way(outputs, self._before):
            if node.key not in self._samplers:
                continue
            is_base = self._starts_anew(node) or not any(key in self._behind for key in self._before(node))
            (bases if is_base else later).append(node)
        if not bases and not later:
            bases = [node for node in self._on_the_way(outputs, self._all_before) if _is_prompted(node)][:1]
        return bases[:MOST_SAMPLERS], later[:MOST_SAMPLERS]

    def _on_the_way(self, outputs: Iterable[Node], before: Callable[[Node], Sequence[str]]) -> Iterable[Node]:
        seen: set[str] = set()
        waiting = list(reversed(list(outputs)))
        while waiting:
            node = waiting.pop()
            if node.key in seen:
                continue
            seen.add(node.key)
            yield node
            if node.key not in self._samplers or not self._starts_anew(node):
                waiting += [self._graph.nodes[key] for key in reversed(before(node))]

    @cached_property
    def _samplers(self) -> frozenset[str]:
        return frozenset(node.key for node in self._graph.nodes.values() if self._is_sampler(node))

    @cached_property
    def _behind(self) -> frozenset[str]:
        """The samplers, and all nodes that a picture comes to from them."""
        followers: dict[str, list[str]] = {}
        for node in self._graph.nodes.values():
            for key in self._before(node):
                followers.setdefault(key, []).append(node.key)
        found, waiting = set(self._samplers), list(self._samplers)
        while waiting:
            for key in followers.get(waiting.pop(), ()):
                if key not in found:
                    found.add(key)
                    waiting.append(key)
        return frozenset(found)

    def _before(self, node: Node) -> Sequence[str]:
        """The nodes from which a picture comes to one: by its inputs for pictures, or by all where it has no such."""
        links = list(self._graph.links(node))
        if switches.is_switch(node.kind, node.inputs):
            names = self._handed_on(node)
            return [link[0] for name, link in links if name in names]
        pictures = [link[0] for name, link in links if PICTURE.fullmatch(name)]
        if node.key in self._samplers:
            return [*self._stages(node), *pictures]
        if pictures:
            return pictures
        return [link[0] for _, link in links] if len(links) <= _MOST_LINKS_PASSED else []

    def _stages(self, sampler: Node) -> list[str]:
        return [key for _, (key, _) in self._graph.links(sampler) if self._graph.nodes[key].kind in STAGES]

    def _all_before(self, node: Node) -> Sequence[str]:
        return [link[0] for _, link in self._graph.links(node)]

    def _handed_on(self, node: Node) -> list[str]:
        names = [name for name in switches.options(node.inputs) if self._graph.link(node.inputs[name])]
        if switches.takes_first(node.kind):
            return names[:1]
        by = switches.chooser(node.inputs)
        one = switches.chosen(node.inputs, self._walk.input("steps", node, by).text) if by else None
        return [one] if one in names else names

    def _is_sampler(self, node: Node) -> bool:
        """By what goes in: a prompt and something to start from; or by its name and a bundle."""
        if _NO_SAMPLERS.search(node.kind):
            return False
        linked = [name for name, _ in self._graph.links(node)]
        conditioned = any(SIDE_INPUTS[POSITIVE].fullmatch(name) or name == "conditioning" for name in linked)
        bundled = any(BUNDLES.fullmatch(name) for name in linked)
        draws = any(name in node.inputs for name in _DRAWS)
        starts = any(PICTURE.fullmatch(name) for name in node.inputs)
        if SAMPLES.search(node.kind):
            return conditioned or bundled or (draws and starts)
        return draws and starts and (conditioned or "guider" in node.inputs)

    def _starts_anew(self, node: Node) -> bool:
        """Whether it began from noise alone, whatever picture it was given the size of."""
        inputs = node.inputs
        if inputs.get("add_noise") in ("disable", False) or inputs.get("start_at_step") not in (None, 0):
            return False
        if any(name in inputs for name in ("image", "images", "segs")) or self._stages(node):
            return False
        for name, (key, slot) in self._graph.links(node):
            kind = self._graph.nodes[key].kind
            if kind == "DisableNoise" or (name == "sigmas" and kind.startswith("SplitSigmas") and slot):
                return False
        return inputs.get("add_noise") == "enable" or self._walk.at("denoise", node).text in ("1", "1.0")


def _is_prompted(node: Node) -> bool:
    return any(name in node.inputs for name in _PROMPTED)


def _gives_name(node: Node, file_name: str) -> bool:
    """Whether a file's name is one that the node gives: its prefix, in which words between % stand for others."""
    prefix = node.inputs.get("filename_prefix")
    if not file_name or not isinstance(prefix, str) or not 0 < len(prefix) <= 500:
        return False
    last = re.split(r"[/\\]", prefix)[-1]
    known = [re.escape(part) for part in re.split(r"%[^%/\\]*%", last)[:8]]
    return re.fullmatch(r".*?".join(known) + r"_?\d{1,8}_?( ?\(\d+\))?(\.\w+)?", PurePath(file_name).name) is not None
