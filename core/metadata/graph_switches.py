"""Nodes that hand on one of their inputs: which, where the graph says it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_SWITCHES = re.compile(r"switch|if ?else|ifelse|branch|selector|\bmux\b|index ?select|swap", re.IGNORECASE)
_NO_SWITCHES = re.compile(r"style|wildcard|prompts? selector|aspect|inversed|separator", re.IGNORECASE)
_FIRST_THERE = re.compile(r"any ?switch|context switch|context merge|fallback|first", re.IGNORECASE)
CHOOSERS = ("select", "index", "Input", "switch", "boolean", "boolean_value", "condition", "cond", "input", "selected")
_PAIRS = (("on_true", "on_false"), ("tt_value", "ff_value"), ("true", "false"), ("if_true", "if_false"))
_OPTION = re.compile(r"(\D+?)_?(\d+|[a-d])")


def is_switch(kind: str, inputs: Mapping[str, Any]) -> bool:
    return bool(_SWITCHES.search(kind)) and not _NO_SWITCHES.search(kind) and bool(options(inputs))


def takes_first(kind: str) -> bool:
    """Whether it hands on the first of its inputs that is connected."""
    return bool(_FIRST_THERE.search(kind))


def chooser(inputs: Mapping[str, Any]) -> str | None:
    """The input that says which other one is handed on."""
    return next((name for name in CHOOSERS if isinstance(inputs.get(name), (bool, int, str, list))), None)


def options(inputs: Mapping[str, Any]) -> list[str]:
    """The inputs of which one is handed on, in their order."""
    pair = next((pair for pair in _PAIRS if inputs.keys() & set(pair)), None)
    if pair is not None:
        return [name for name in pair if name in inputs]
    by_stem: dict[str, list[str]] = {}
    for name in inputs:
        option = _OPTION.fullmatch(name)
        if option is not None:
            by_stem.setdefault(option[1], []).append(name)
    return sorted(max(by_stem.values(), key=len, default=[]), key=lambda name: (len(name), name))


def chosen(inputs: Mapping[str, Any], choice: Any) -> str | None:
    """The option that a choice means; None where that is not certain."""
    names = options(inputs)
    pair = next((pair for pair in _PAIRS if inputs.keys() & set(pair)), None)
    if isinstance(choice, str) and choice.lower() in ("true", "false"):
        choice = choice.lower() == "true"
    if isinstance(choice, bool):
        if pair is not None:
            return pair[0 if choice else 1]
        lettered = [name for name in names if name[-1] in "ab"]
        return f"{lettered[0][:-1]}{'a' if choice else 'b'}" if lettered else None
    if isinstance(choice, str) and not choice.isdecimal():
        return choice if choice in names else None
    if pair is not None or not isinstance(choice, (int, str)) or len(str(choice)) > 4:
        return None
    number = int(choice)
    return next((name for name in names if _number(name) == number), None)


def _number(name: str) -> int | None:
    digits = re.search(r"(\d{1,4})$", name)
    return int(digits[1]) if digits else None
