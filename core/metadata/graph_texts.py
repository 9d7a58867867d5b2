"""Nodes that make texts of texts: what they do, as data, and what only their run can say."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Joining(NamedTuple):
    """parts: the inputs that are joined, by a pattern of their names. delimiter: the input that holds what comes
    between them; without one, or left out, `usual`."""

    parts: re.Pattern[str]
    delimiter: str = ""
    usual: str = ""
    cleans: bool = False

    def names(self, inputs: Mapping[str, Any]) -> list[str]:
        """In the order in which they are joined: that of the pattern's alternatives, then of their numbers or letters.
        In a graph what is linked stands behind what is typed in, wherever it is on the node."""
        found = [part for part in map(self.parts.fullmatch, inputs) if part is not None and part[0] != self.delimiter]
        return [part[0] for part in sorted(found, key=lambda part: (part.lastindex or 0, in_order(part[0])))]


def in_order(name: str) -> tuple[str, int, str]:
    """A key by which names that end in numbers or letters are sorted."""
    stem, digits, letters = _NAME_PARTS.fullmatch(name[:80]).groups()  # type: ignore[union-attr]  it matches any
    return stem, int(digits or 0), letters


def _joining(parts: str, delimiter: str = "", usual: str = "", cleans: bool = False) -> Joining:
    return Joining(re.compile(parts), delimiter, usual, cleans)


JOINS = {
    "StringConcatenate": _joining(r"string_[ab]", "delimiter"),
    "Text Concatenate": _joining(r"text_\w+", "delimiter", ", ", cleans=True),
    "JoinStrings": _joining(r"string\d", "delimiter", " "),
    "JoinStringMulti": _joining(r"string_\d+", "delimiter", " "),
    "ConcatStringSingle": _joining(r"string\d"),
    "Text Concatenate (JPS)": _joining(r"text\d", "delimiter"),
    "CR Combine Prompt": _joining(r"part\d", "separator"),
    "CR Text Concatenate": _joining(r"text\d", "separator"),
    "ttN concat": _joining(r"text\d", "delimiter", ", "),
    "ttN text3BOX_3WAYconcat": _joining(r"text\d", "delimiter", ", "),
    "ttN text7BOX_concat": _joining(r"text\d", "delimiter", ", "),
    "easy promptConcat": _joining(r"prompt\d", "separator"),
    "easy stringJoinLines": _joining(r"string\d?", "", "\n"),
    "SomethingToString": _joining(r"(prefix)|(input)|(suffix)"),
}
_TIDY, _PLAIN = _joining(r"text_[a-c]", "", ", ", cleans=True), _joining(r"text_[a-c]")
_JOINS_BY_NAME = re.compile(r"concat|join|combine|append", re.IGNORECASE)
_PARTS_BY_NAME = re.compile(r"((?:text|string|str|prompt|input|value|any|line)s?_?([a-z]|\d+)?)", re.IGNORECASE)
_NAME_PARTS = re.compile(r"(.*?)(\d*)([a-z]?)", re.DOTALL)
_DELIMITERS = ("delimiter", "separator", "sep", "delim", "joiner", "seperator")


def joining(kind: str, inputs: Mapping[str, Any]) -> tuple[Joining, bool] | None:
    """How a node joins texts, and whether that is known; None for nodes that are no such ones."""
    if kind == "StringFunction|pysssss" and inputs.get("action") == "append":
        return (_TIDY if inputs.get("tidy_tags") == "yes" else _PLAIN), True
    if kind in JOINS:
        return JOINS[kind], True
    if not _JOINS_BY_NAME.search(kind) or sum(bool(_PARTS_BY_NAME.fullmatch(name)) for name in inputs) < 2:
        return None
    delimiter = next((name for name in _DELIMITERS if name in inputs), "")
    return Joining(_PARTS_BY_NAME, delimiter, ", "), bool(delimiter)


REPLACES = {
    "StringReplace": ("string", (("find", "replace"),)),
    "Text Find and Replace": ("text", (("find", "replace"),)),
    "Text Find and Replace Input": ("text", (("find", "replace"),)),
    "CR Text Replace": ("text", (("find1", "replace1"), ("find2", "replace2"), ("find3", "replace3"))),
    "easy promptReplace": ("prompt", (("find1", "replace1"), ("find2", "replace2"), ("find3", "replace3"))),
}
"""The input that is changed, and pairs of inputs of what is sought and what comes in its place."""


def _cased(text: str, inputs: Mapping[str, Any]) -> str | None:
    ways: dict[str, Callable[[str], str]] = {
        **{"UPPERCASE": str.upper, "lowercase": str.lower},
        **{"Capitalize": str.capitalize, "Title Case": str.title},
    }
    way = ways.get(str(inputs.get("mode")))
    return None if way is None else way(text)


def _trimmed(text: str, inputs: Mapping[str, Any]) -> str | None:
    ways: dict[str, Callable[[str], str]] = {"Both": str.strip, "Left": str.lstrip, "Right": str.rstrip}
    way = ways.get(str(inputs.get("mode")))
    return None if way is None else way(text)


def _cut(text: str, inputs: Mapping[str, Any]) -> str | None:
    start, end = inputs.get("start"), inputs.get("end")
    return text[start:end] if isinstance(start, int) and isinstance(end, int) else None


def _without_notes(text: str, inputs: Mapping[str, Any]) -> str | None:
    """What this node leaves of its lines; it knows places for the time, the machine and the like."""
    if _OF_THE_RUN.search(text):
        return None
    return "\n".join(line for line in text.split("\n") if not line.strip().startswith("#"))


_OF_THE_RUN = re.compile(r"\[(?:time|hostname|user|cuda_\w+)(?:\(|\])")

CHANGES: dict[str, tuple[str, Callable[[str, Mapping[str, Any]], str | None]]] = {
    "CaseConverter": ("string", _cased),
    "StringTrim": ("string", _trimmed),
    "StringSubstring": ("string", _cut),
    "Text Multiline": ("text", _without_notes),
    "Text Parse Tokens": ("text", lambda text, inputs: None if "[" in text else text),
}
"""The input that is changed, and how; None where that hangs on what only the run knows."""

PASSES = re.compile(
    r"re-?route|show|display|preview|primitive|text|string|prompt|multiline|note|"
    r"easy (positive|negative)|\bany\b|get|set",
    re.IGNORECASE,
)
"""Kinds that hold a text or hand one on as it is."""

COMPUTES = re.compile(
    r"interrogat|caption|tagger|wd14|blip|florence|joy|llava|llm|gpt|gemini|claude|ollama|qwen.*(vl|llm|chat)|vqa|vlm|"
    r"describe|analy[sz]e|random|wildcard|dynamic|dprandom|dpcombin|shuffle|cycle|translat|enhanc|refine.*prompt|"
    r"prompt.*(generat|refin|expan|upsampl)|generat.*(prompt|text)|chat|infer|regex|eval|script|python|puter|nsp|"
    r"noodle|(prompt|text|string)[ _]?(line|list)s?\b|"
    r"load.*(line|file|text)|line.*file|style|math|datetime|date|unrender|superprompt",
    re.IGNORECASE,
)
"""Kinds whose text comes into being when they run."""

EXPANDS = re.compile(r"nsp|noodle|wildcard|dynamic|random|schedule", re.IGNORECASE)
"""Kinds that encode a text after they have put other words in some places of it."""

_ADDS = re.compile(
    r"(pre|app|post)_?(fix|text)?|suffix|prepend|append|before|after|subject|action|clothes|environment|background|nsfw|"
    r"\w*(text|string|prompt)s?_(in|opt)\w*|(opt\w*_)(text|string|prompt)s?",
    re.IGNORECASE,
)


_SHOWS = re.compile(r"show|display|preview", re.IGNORECASE)
_EDITS = re.compile(
    r"truncat|compare|split|slice|sort|extract|filter|remove|clean(?!gpu)|strip|escape|trim|edit|modif|format|parse|"
    r"process|weight|operation|combin",
    re.IGNORECASE,
)


def adds(inputs: Mapping[str, Any]) -> bool:
    """Whether a node that has a text has more words, from inputs that only such nodes have that put texts together."""
    return any(value not in (None, "", "None", "none") and _ADDS.fullmatch(name) for name, value in inputs.items())


def passes(kind: str, inputs: Mapping[str, Any]) -> bool:
    """Whether a node is known to hand on a text as it is."""
    parts = [name for name, value in inputs.items() if _PARTS_BY_NAME.fullmatch(name) and value not in (None, "")]
    several = len(parts) > 1 and not _SHOWS.search(kind)  # one that shows a text has what it showed before
    return bool(PASSES.search(kind)) and not _EDITS.search(kind) and not several and not adds(inputs)


EXPANDED = " may have put other words into the text when it ran"

COMPUTE_FROM = frozenset(
    {
        *("image", "images", "pixels", "seed", "noise_seed", "temperature", "top_p", "top_k", "max_tokens"),
        *("max_new_tokens", "api_key", "model", "clip", "llm", "instruction", "system_prompt", "file_path", "path"),
    }
)
"""Inputs that no node has which only hands on a text."""

TEXTS = (
    *("populated_text", "text", "string", "value", "prompt", "Text", "String", "STRING", "text_0", "text1", "input"),
    *("multiline_text", "string_field", "Multiline", "positive", "negative", "any", "anything", "source", "main", ""),
    *("any_input", "text_a", "string1", "input_text", "input_string", "text_input", "val", "strings", "wildcard_text"),
)
"""Inputs of nodes that hold or hand on a text, the likeliest first."""
