"""What stands in the places of a node's widgets. By a link it may be whatever a switch or another pack's node gives."""

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
    parameters = list(signature(execute).parameters.values())[1:]
    names = [each.name for each in parameters]
    needed = [each.name for each in parameters if each.default is each.empty and each.kind is not each.VAR_KEYWORD]

    @wraps(execute)
    def checked(cls: Any, *values: Any, **inputs: Any) -> io.NodeOutput:
        with host.reporting(cls.hidden.unique_id):
            given = _as_declared(cls.define_schema(), {**dict(zip(names, values, strict=False)), **inputs})
            for name in needed:  # which an empty list leaves without a value
                if name not in given:
                    raise SettingsError(
                        f"There is nothing in what is connected to {name}", "connect a node that gives one"
                    )
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
            return int(value) if whole else _refused(widget, value, "a whole number")
        case io.Float.Input():
            return float(value) if isinstance(value, Real) else _refused(widget, value, "a number")
    return value


def _refused(widget: Any, value: Any, taken: str) -> Any:
    told = quoted(value) if is_plain(value) else "something else"
    name = widget.id.replace("_", " ")
    raise SettingsError(f"{name} takes {taken}, and {told} stands there", "connect a node that gives it")
