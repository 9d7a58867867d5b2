"""Asks a graph what went into an output: backwards through its links, by the number of each output and the role of each
input.

A question is a role ("positive", "text", "seed", ...) and an output. A rule answers it from the node's own inputs, and
asks further questions on the way. The rules are written as if they called one another; `Walk` keeps those that wait in
a list, so that no graph is too deep, answers each question once, so that none is too large, and answers one that is
waiting for itself with nothing, so that rings end.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

from . import graph_switches as switches
from . import graph_texts as texts
from .generation import plain
from .graph import Graph, Link, Node
from .graph_roles import (
    ADDS_TO_BUNDLE,
    ANY_VALUE,
    BUNDLES,
    CONDITIONING,
    ENCODED,
    MERGED,
    NO_TEXT,
    NOT_CONDITIONING,
    NOT_SIDES,
    OUTPUT_SIDES,
    POSITIVE,
    SCHEDULES,
    SIDE_INPUTS,
    SIDES,
    TEXT,
    VALUES,
    unused,
)

MOST_LETTERS = 20_000
_MOST_LETTERS_MADE = 2**24
_MOST_PARTS, _MOST_NOTES = 64, 8
MISSING = ", which the file does not hold"
_BUNDLE = -1
"""In the place of an output's number: a bundle, in which all its node has is carried together."""


@dataclass(frozen=True)
class Found:
    """parts: the texts, or the value, that an output carries. notes: what is not known of them."""

    parts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join(self.parts)[:MOST_LETTERS]

    @property
    def words(self) -> str:
        """The text without the blanks around its parts."""
        return "\n".join(part.strip() for part in self.parts)[:MOST_LETTERS]


NOTHING = Found()
Question = tuple[str, str, int]
Steps = Generator[Question, Found, Found]


def together(found: Iterable[Found]) -> Found:
    """All of them, each text and each note once."""
    several = list(found)
    if len(several) == 1:
        return several[0]
    parts = dict.fromkeys(part for each in several for part in each.parts)
    notes = dict.fromkeys(note for each in several for note in each.notes)
    return Found(tuple(parts)[:_MOST_PARTS], tuple(notes)[:_MOST_NOTES])


class Walk:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._answers: dict[Question, Found] = {}
        self._letters = _MOST_LETTERS_MADE

    def input(self, role: str, node: Node, name: str) -> Found:
        """What comes in there in that role."""
        value = node.inputs.get(name)
        link = self._graph.link(value)
        return _literal(role, value) if link is None else self.ask((role, *self._through(name, link)))

    def at(self, role: str, node: Node) -> Found:
        """What a node has of its own in that role, or was given."""
        return self.ask((role, node.key, _BUNDLE))

    def ask(self, question: Question) -> Found:
        waiting: list[tuple[Question, Steps]] = [(question, self._rule(question))]
        open_ones, answer = {question}, NOTHING
        sent: Found | None = None
        while waiting:
            current, steps = waiting[-1]
            try:
                wanted = next(steps) if sent is None else steps.send(sent)
            except StopIteration as ended:
                answer = self._answers[current] = ended.value
                open_ones.discard(current)
                waiting.pop()
                sent = answer
                continue
            sent = self._answers.get(wanted, NOTHING if wanted in open_ones else None)
            if sent is None:
                waiting.append((wanted, self._rule(wanted)))
                open_ones.add(wanted)
        return answer

    def _rule(self, question: Question) -> Steps:
        role, key, slot = question
        node = self._graph.nodes[key]
        if slot in node.kept:
            return _kept(node, node.kept[slot])
        if switches.is_switch(node.kind, node.inputs):
            return self._switch(role, node)
        if role == TEXT:
            return self._text(node, slot)
        return self._prompt(role, node, slot) if role in SIDES else self._value(role, node)

    def _through(self, name: str, link: Link) -> Link:
        return (link[0], _BUNDLE) if BUNDLES.fullmatch(name) else link

    def _input(self, role: str, node: Node, name: str) -> Steps:
        value = node.inputs.get(name)
        link = self._graph.link(value)
        if link is None:
            if role in (TEXT, *SIDES) and isinstance(value, list) and len(value) == 2:
                return Found(notes=(f"what came into {node.called} is not in the graph",))
            return _literal(role, value)
        return (yield (role, *self._through(name, link)))

    def _is_given(self, value: Any) -> bool:
        """Not where what was connected has been taken out of the graph, as a muted node is."""
        return value not in (None, "") and (not isinstance(value, list) or self._graph.link(value) is not None)

    def _switch(self, role: str, node: Node) -> Steps:
        names = [name for name in switches.options(node.inputs) if self._is_given(node.inputs[name])]
        if switches.takes_first(node.kind):
            return (yield from self._input(role, node, names[0])) if names else NOTHING
        name = switches.chooser(node.inputs)
        choice = node.inputs.get(name) if name else None
        link = self._graph.link(choice)
        if link is not None:
            found = yield ("steps", *link)
            choice = found.text or None
        chosen = None if choice is None else switches.chosen(node.inputs, choice)
        if chosen is not None and chosen in node.inputs:
            return (yield from self._input(role, node, chosen))
        several = []
        for name in names:
            several.append((yield from self._input(role, node, name)))
        if len(set(several)) == 1:
            return several[0]
        return Found(notes=(f"{node.called} chose one of its inputs when it ran; the file does not say which",))

    # prompts

    def _prompt(self, side: str, node: Node, slot: int) -> Steps:
        if node.kind in NO_TEXT:
            return NOTHING
        side = self._side_of(node, slot, side)
        bundled = [name for name, _ in self._graph.links(node) if BUNDLES.fullmatch(name)]
        own = _side_inputs(node, side)
        if not own and (side == POSITIVE or (slot != _BUNDLE and not _side_inputs(node, POSITIVE))):
            own = self._encoded(node)
        if not own and not bundled and slot == 0 and node.kind not in OUTPUT_SIDES:
            own = [name for each in SIDES for name in _side_inputs(node, each)]  # all that its only output can be
        if not own and not bundled:
            if slot == _BUNDLE or any(_side_inputs(node, each) for each in SIDES):
                return NOTHING
            return (yield from self._neither(side, node, slot))
        several = []
        for name in own:
            if name not in unused(node):
                several.append((yield from self._encoding(side, node, name)))
        if bundled and (node.kind in ADDS_TO_BUNDLE or not any(each.parts or each.notes for each in several)):
            inherited = []
            for name in bundled:
                inherited.append((yield from self._input(side, node, name)))
            several = [*inherited, *several]
        return together(several)

    def _neither(self, side: str, node: Node, slot: int) -> Steps:
        """Through a node that has no input of a prompt's: a text, or one that hands on all that comes in."""
        if "clip" in node.inputs and any(node.inputs.get(name) == "" for name in ENCODED):
            return NOTHING  # it encoded no words, whatever else went in
        links = [link for _, link in self._graph.links(node)]
        if len(links) == 1 and len(node.inputs) == 1 and not texts.COMPUTES.search(node.kind):
            return (yield (side, *links[0]))
        return (yield (TEXT, node.key, slot))

    def _encoded(self, node: Node) -> list[str]:
        """The inputs of a node of one side: what is encoded already, and what it encodes."""
        conditioned = [
            name
            for name, _ in self._graph.links(node)
            if CONDITIONING.fullmatch(name) and not NOT_CONDITIONING.fullmatch(name)
        ]
        encodes = "clip" in node.inputs or bool(conditioned) or "encode" in node.kind.lower()
        names = [name for name in ENCODED if node.inputs.get(name) not in (None, "")] if encodes else []
        if "populated_text" in names:
            names = ["populated_text"]
        return [*conditioned, *names]

    def _encoding(self, side: str, node: Node, name: str) -> Steps:
        """A text where one comes in as it is, or what is encoded in it."""
        found = yield from self._input(TEXT if name in ENCODED else side, node, name)
        if name == "populated_text" or not isinstance(node.inputs[name], str):
            return found
        if not texts.EXPANDS.search(node.kind) and not texts.adds(node.inputs):
            return found
        return Found(found.parts, (*found.notes, f"{node.called}{texts.EXPANDED}"))

    def _side_of(self, node: Node, slot: int, asked: str) -> str:
        if slot == _BUNDLE:
            return asked
        if node.kind in OUTPUT_SIDES:
            return OUTPUT_SIDES[node.kind].get(slot, asked)
        name = node.outputs[slot] if 0 <= slot < len(node.outputs) else ""
        if not all(_side_inputs(node, side) for side in SIDES):
            return asked
        name = name.replace("CONDITIONING+", "positive").replace("CONDITIONING-", "negative")
        return next((side for side in SIDES if SIDE_INPUTS[side].fullmatch(name)), asked)

    # texts

    def _text(self, node: Node, slot: int) -> Steps:
        join = texts.joining(node.kind, node.inputs)
        if join is not None:
            return (yield from self._joined(node, *join))
        if node.kind in texts.REPLACES:
            return (yield from self._replaced(node))
        if node.kind in texts.CHANGES:
            return (yield from self._changed(node))
        ready = node.inputs.get("populated_text")
        if isinstance(ready, str) and ready.strip():
            return _literal(TEXT, ready)
        holds = [name for name in texts.TEXTS if node.inputs.get(name) not in (None, "")]
        others = {name for name, _ in self._graph.links(node)} - {*holds}
        if node.kind == "Text String" and 0 <= slot < 4:
            holds = [("text", "text_b", "text_c", "text_d")[slot]]
        if texts.COMPUTES.search(node.kind) or texts.COMPUTE_FROM & node.inputs.keys() or (not holds and others):
            return _computed(node)
        linked = [name for name in holds if self._graph.link(node.inputs[name])]
        held = linked or holds
        if not held:
            return NOTHING if any(name in node.inputs for name in texts.TEXTS) else _computed(node)
        if len(held) > 1:
            return Found(notes=(f"{node.called} made its text of several, in a way that is not known here",))
        name = held[0]
        found = yield from self._input(TEXT, node, name)
        if found.notes and not found.parts and node.shown.strip():
            return _as_shown(node)
        if node.kind == "Text String" or texts.passes(node.kind, node.inputs):
            return found
        return Found(found.parts, (*found.notes, f"{node.called} is not known here and may have changed the text"))

    def _joined(self, node: Node, join: texts.Joining, known: bool) -> Steps:
        several = []
        for name in join.names(node.inputs):
            several.append((yield from self._input(TEXT, node, name)))
        delimiter = yield from self._input("delimiter", node, join.delimiter) if join.delimiter else _nothing()
        between = delimiter.text if delimiter.parts else join.usual
        words = [each.text for each in several]
        if join.cleans or not known:
            words = [word.strip() for word in words if word.strip()]
        elif any(each.notes for each in several):
            words = [word for word in words if word]
        notes = [note for each in (*several, delimiter) for note in each.notes]
        if not known and len(words) > 1:
            notes.append(f"{node.called} joins texts in a way that is not known here")
        return self._made(between.replace("\\n", "\n").join(words), notes)

    def _made(self, text: str, notes: Iterable[str]) -> Found:
        """A text put together here. A graph made to be slow doubles one at each of its nodes."""
        most = min(MOST_LETTERS, self._letters)
        if len(text) > most:
            notes = ("it is too long to be put together here, and cut", *notes)
            text = text[:most]
        self._letters -= len(text)
        return Found((text,) if text.strip() else (), tuple(dict.fromkeys(notes))[:_MOST_NOTES])

    def _replaced(self, node: Node) -> Steps:
        name, pairs = texts.REPLACES[node.kind]
        found = yield from self._input(TEXT, node, name)
        text, notes = found.text, [*found.notes]
        for old_name, new_name in pairs:
            old = yield from self._input("delimiter", node, old_name)
            new = yield from self._input("delimiter", node, new_name)
            notes += [*old.notes, *new.notes]
            if old.text and text.count(old.text) * max(len(new.text), 1) < MOST_LETTERS:
                text = text.replace(old.text, new.text)
        return self._made(text, notes)

    def _changed(self, node: Node) -> Steps:
        name, change = texts.CHANGES[node.kind]
        found = yield from self._input(TEXT, node, name)
        text = change(found.text, node.inputs)
        return _computed(node) if text is None else self._made(text, found.notes)

    # values

    def _value(self, role: str, node: Node) -> Steps:
        if role == "delimiter":
            return (yield (TEXT, node.key, 0))
        value = VALUES[role]
        names = [name for name in value.names if name in node.inputs and not self._graph.link(node.inputs[name])]
        texts_here = [found for found in (_literal(role, node.inputs[name]) for name in names) if found != NOTHING]
        if texts_here and role != "model":
            return texts_here[0]
        linked = [name for name, _ in self._graph.links(node)]
        leading = [name for name in (*value.names, *value.via) if name in linked]
        several = []
        for name in (*dict.fromkeys(leading), *(name for name in linked if BUNDLES.fullmatch(name))):
            found = yield from self._input(role, node, name)
            if found == NOTHING and role == "seed" and name in value.names:
                source = self._graph.nodes[str(node.inputs[name][0])]
                found = Found(notes=(f"{source.called} computed it when it ran",))
            if found != NOTHING:
                several.append(found)
                if name not in MERGED:
                    break
        if several:
            found = together(several)
            return Found((" + ".join(found.parts),) if found.parts else (), found.notes)
        if texts_here:  # of a node that a model comes into, it would be what was added to that
            return texts_here[0]
        return (yield from self._lone_value(role, node))

    def _lone_value(self, role: str, node: Node) -> Steps:
        if role == "sampler" and node.kind.startswith("Sampler") and "Custom" not in node.kind:
            return Found((node.kind,))
        schedule = SCHEDULES.match(node.kind) if role == "scheduler" else None
        if schedule is not None:
            return Found((schedule[1],))
        linked = [name for name, _ in self._graph.links(node)]
        held = [name for name in ANY_VALUE if name in node.inputs] or linked
        if len(held) == 1 and len(node.inputs) <= 2 and not texts.COMPUTES.search(node.kind):
            return (yield from self._input(role, node, held[0]))
        return NOTHING


def _nothing() -> Steps:
    return NOTHING
    yield  # makes it a rule


def _kept(node: Node, kept: tuple[str, ...]) -> Steps:
    different = tuple(dict.fromkeys(kept))
    if len(different) == 1:
        return Found(different, (f"it is what {node.called} found when it ran",)) if different[0].strip() else NOTHING
    listed = " / ".join(different)[:4000]
    return Found(notes=(f"it is one of those that {node.called} found when it ran: {listed}",))
    yield


def _as_shown(node: Node) -> Found:
    return Found(
        (node.shown.strip()[:MOST_LETTERS],), (f"the text was computed; it is what {node.called} showed of it",)
    )


def _computed(node: Node) -> Found:
    if node.kind.startswith("Unrender") and node.shown.strip():
        return Found((node.shown.strip(),), (f"the text is what {node.called} had found when the workflow was saved",))
    return Found(notes=(f"{node.called} computed a text when it ran{MISSING}",))


def _literal(role: str, value: Any) -> Found:
    """A value that stands in an input itself."""
    if isinstance(value, str) and (role == "delimiter" or (role == TEXT and value.strip())):
        return Found((value[:MOST_LETTERS],))  # with its blanks, which count where it is joined to others
    if role == "model" and isinstance(value, dict):
        value = value.get("content")  # beside which a picker keeps a picture
    text = value.strip()[:MOST_LETTERS] if isinstance(value, str) else plain(value)
    if role in VALUES and role != "model" and isinstance(value, (list, dict)):
        return NOTHING
    return Found((text,)) if text else NOTHING


def _side_inputs(node: Node, side: str) -> list[str]:
    return [
        name
        for name, value in node.inputs.items()
        if SIDE_INPUTS[side].fullmatch(name) and not NOT_SIDES.fullmatch(name) and isinstance(value, (str, list))
    ]
