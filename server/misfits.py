"""What does not fit in a request, in this program's own sentences: neither what was sent, which may be large or nobody
else's business, nor how a library says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.printable import printable

_SHOWN = 3
_LONGEST_NAME = 40
_PLAIN = {
    "missing": "is absent",
    "body": "the body is absent",
    "extra": "is no field here",
    "json": "the body is no JSON",
    "string": "is no text",
    "str": "is no text",
    "int": "is no whole number",
    "integer": "is no whole number",
    "float": "is no number",
    "bool": "is neither true nor false",
    "list": "is no list",
    "dict": "is no object",
    "model": "is no object",
    "none": "is absent",
}
"""By the first word that pydantic 1 or 2 has for a kind of fault, behind "value_error." or "type_error." in 1."""

_BOUNDS = {
    "greater_than_equal": ("ge", "is below {}"),
    "less_than_equal": ("le", "is above {}"),
    "number.not_ge": ("limit_value", "is below {}"),
    "number.not_le": ("limit_value", "is above {}"),
}


def misfit(faults: Sequence[Mapping[str, Any]]) -> str:
    """One sentence of what pydantic, 1 or 2, lists."""
    said = list(dict.fromkeys(_said(fault) for fault in faults))
    more = f"; and {len(said) - _SHOWN} more faults" if len(said) > _SHOWN else ""
    return f"The request does not fit: {'; '.join(said[:_SHOWN])}{more}."


def _said(fault: Mapping[str, Any]) -> str:
    kind = str(fault["type"]).removeprefix("value_error.").removeprefix("type_error.")
    place = ".".join(_name(part) for part in fault["loc"] if part != "body")
    what = _what(kind, fault.get("ctx") or {})
    if kind == "missing" and not place:
        return _PLAIN["body"]
    return f"{place}: {what}" if place and not kind.startswith("json") else what


def _what(kind: str, context: Mapping[str, Any]) -> str:
    if kind in _BOUNDS:
        name, text = _BOUNDS[kind]
        return text.format(context.get(name, "what is possible"))
    if kind == "literal_error":
        return f"is not {context.get('expected', 'one of those that there are')}"
    if kind == "const":
        return f"is not {', '.join(map(repr, context.get('permitted', ()))) or 'one of those that there are'}"
    return _PLAIN.get(kind.partition(".")[0].partition("_")[0], "is not of the kind that is asked for")


def _name(part: Any) -> str:
    """Also of a field that only the request has."""
    text = printable(str(part).encode(errors="backslashreplace").decode())
    return text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"
