"""How a ComfyUI graph made a picture: from the node that put the picture out, back to the sampler that composed it, and
from there to what that was given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from .generation import Generation, seed_text
from .graph import Graph, Node, graph_of
from .graph_roles import NEGATIVE, POSITIVE, TEXT, VALUES, VARIES
from .graph_walk import MISSING, NOTHING, Found, Walk
from .graph_ways import Ways
from .workflow import graph_of_workflow

_SETTINGS = ("steps", "sampler", "scheduler", "cfg_scale", "denoise")


def read_graphs(texts: Mapping[str, str], file_name: str = "") -> Generation | None:
    """What the texts "prompt" and "workflow" say; None where they hold no graph. Graphs stand elsewhere too, where a
    program had no other place for them.

    file_name: the file's own, which may tell which output of several made it.
    """
    candidates = [texts.get("prompt", ""), *(texts.get(name, "") for name in ("parameters", "UserComment", "comment"))]
    for text in candidates:
        graph = graph_of(text, texts.get("workflow", "")) if text.lstrip().startswith("{") else None
        if graph is not None:
            return replace(_read(graph, file_name), read=frozenset({"prompt", "workflow"}))
    graph = graph_of_workflow(texts.get("workflow", ""))
    if graph is None:
        return None
    found = _read(graph, file_name)
    note = "the file has the workflow only, as it stood on the page, not the graph as it was run"
    return replace(found, notes=(*found.notes, note), read=frozenset({"workflow"}))


@dataclass(frozen=True)
class _Account:
    """What one sampler was given."""

    sampler: Node
    prompt: Found
    negative: Found
    values: Mapping[str, Found]

    def said(self, role: str) -> str:
        return self.values[role].text

    @property
    def told(self) -> str:
        seed = f", seed {self.said('seed')}" if self.said("seed") else ""
        return f'{self.sampler.called}: "{self.prompt.words[:400]}"{seed}'


def _read(graph: Graph, file_name: str) -> Generation:
    walk = Walk(graph)
    ways = Ways(graph, walk)
    bases, later = ways.samplers(ways.outputs(file_name))
    if not bases:
        return Generation("ComfyUI", notes=("no node of the graph is known here to have made the picture",))
    found = _agreed([_account(walk, node) for node in bases], [_account(walk, node) for node in later])
    varying = next(
        (node for node in graph.nodes.values() if VARIES.search(node.kind) and node.key in graph.users), None
    )
    if varying is None:
        return found
    note = f"{varying.called} gave other values in the place of some, and the file does not say which pictures had them"
    return replace(found, notes=(*found.notes, note))


def _agreed(bases: Sequence[_Account], later: Sequence[_Account]) -> Generation:
    """What all samplers that may have made the picture were given; what they differ in is no fact but a note."""
    values = {role: _same(each.said(role) for each in bases) for role in VALUES}
    prompt = _same(each.prompt.words for each in bases)
    negative = _same(each.negative.words for each in bases)
    notes = [f"prompt: {_of(each.prompt)}{note}" for each in bases for note in each.prompt.notes]
    notes += [f"negative prompt: {_of(each.negative)}{note}" for each in bases for note in each.negative.notes]
    notes += [f"{role}: {note}" for role in ("seed", "model") for each in bases for note in each.values[role].notes]
    seed = seed_text(values["seed"] or "")
    if seed.startswith("-"):
        notes.append(f"seed: {seed} stands for one that was drawn when the graph ran")
        seed = ""
    if None in (prompt, negative, values["seed"], values["model"]):
        told = "; ".join(each.told for each in bases)
        notes.append(f"the graph made several pictures, and the file does not say which is this one: {told}")
    base = (prompt, negative)
    for each in later:
        if each.prompt.words and (each.prompt.words, each.negative.words) != base:
            notes.append(f"the picture was worked on afterwards by {each.told}")
    shown = {role: values[role] or "" for role in _SETTINGS}
    return Generation(
        "ComfyUI",
        prompt or "",
        negative or "",
        seed,
        values["model"] or "",
        tuple((name, text) for name, text in shown.items() if text),
        tuple(dict.fromkeys(notes)),
    )


def _of(found: Found) -> str:
    """What comes before a note where a text is known in part."""
    return "a part is missing here: " if found.parts and any(note.endswith(MISSING) for note in found.notes) else ""


def _same(texts: Iterable[str]) -> str | None:
    """The text, where all are one; None where they differ."""
    different = set(texts)
    return different.pop() if len(different) == 1 else None


def _account(walk: Walk, sampler: Node) -> _Account:
    values = {role: walk.at(role, sampler) for role in VALUES}
    prompt = walk.at(POSITIVE, sampler)
    if prompt == NOTHING and "prompt" in sampler.inputs:
        prompt = walk.input(TEXT, sampler, "prompt")
    return _Account(sampler, prompt, walk.at(NEGATIVE, sampler), values)
