"""What stands in the places of a node's widgets. A link may bring there whatever a switch or another pack's node gives,
and ComfyUI holds to the limits what is typed alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from numbers import Integral, Real
from typing import Any

import numpy as np

from ..core.errors import SettingsError
from ..core.printable import quoted
from . import host
from .host import io
from .links import is_plain

Execute = Callable[..., io.NodeOutput]


def holds_to_widgets(execute: Execute) -> Execute:
    """A node's `execute`, which raises SettingsError where a widget could not have a value. What an optional input is
    given nothing for counts as left out."""
    names = list(signature(execute).parameters)[1:]

    @wraps(execute)
    def checked(cls: Any, *values: Any, **inputs: Any) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id):
            given = _as_declared(cls.define_schema(), {**dict(zip(names, values, strict=False)), **inputs})
        return execute(cls, **given)

    return checked


def _as_declared(schema: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    declared = {each.id: each for each in schema.inputs}
    found = {}
    for name, value in inputs.items():
        widget = declared.get(name)
        listed = schema.is_input_list and isinstance(value, list)
        values = value if listed else [value]
        if widget is not None and widget.optional and values and all(each is None for each in values):
            continue
        checked = values if widget is None else [_value(widget, each) for each in values]
        found[name] = checked if listed else checked[0]
    return found


def _value(widget: Any, value: Any) -> Any:
    match widget:
        case io.String.Input() | io.Combo.Input():
            return value if isinstance(value, str) else _refused(widget, value, "a text")
        case io.Boolean.Input():
            return bool(value) if isinstance(value, Integral | np.bool_) else _refused(widget, value, "true or false")
        case io.Int.Input():
            whole = isinstance(value, Integral) or (isinstance(value, float) and value.is_integer())
            return _within(widget, int(value)) if whole else _refused(widget, value, "a whole number")
        case io.Float.Input():
            return _within(widget, float(value)) if isinstance(value, Real) else _refused(widget, value, "a number")
    return value


def _within(widget: Any, value: float) -> float:
    if widget.min <= value <= widget.max:
        return value
    return _refused(widget, value, f"{widget.min} to {widget.max}")


def _refused(widget: Any, value: Any, taken: str) -> Any:
    told = quoted(value) if is_plain(value) else "something else"
    name = widget.id.replace("_", " ")
    raise SettingsError(f"{name} takes {taken}, and {told} stands there", "connect a node that gives it")
