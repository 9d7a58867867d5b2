"""What was verified, as plain values for JSON and as lines for a person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .fidelity import Fidelity
from .statistics import Estimate
from .weights import Finding

_MARKS = {True: "ok", False: "FAILED", None: "-"}


def as_values(findings: Sequence[Finding], fidelity: Fidelity | None) -> dict[str, Any]:
    values: dict[str, Any] = {
        "findings": [{"check": each.check, "passed": each.passed, "value": each.value} for each in findings]
    }
    if fidelity is not None:
        values["ways"] = {
            name: {
                "similarity": _interval(way.similarity),
                "over_pinv": _interval(way.over_rival),
                "kept": _interval(way.kept),
                "second judge": _interval(way.second),
            }
            for name, way in fidelity.ways.items()
        }
        values["recommended"] = fidelity.recommended
    return values


def as_lines(findings: Sequence[Finding], fidelity: Fidelity | None) -> list[str]:
    lines = [f"{_MARKS[each.passed]:<7} {each.check}: {each.value}" for each in findings]
    if fidelity is not None:
        lines.append("")
        for name, way in fidelity.ways.items():
            kept = "" if way.kept is None else f"  kept {_said(way.kept)}"
            second = "" if way.second is None else f"  second judge {_said(way.second)}"
            lines.append(f"{name:<20} {_said(way.similarity)}{kept}{second}")
        lines.append(f"recommended: {fidelity.recommended}")
    return lines


def _said(value: Estimate) -> str:
    return f"{value.mean:6.3f} ({value.low:.3f} to {value.high:.3f})"


def _interval(value: Estimate | None) -> dict[str, float | None] | None:
    """JSON has no NaN."""
    if value is None:
        return None
    return {name: None if math.isnan(part) else round(part, 5) for name, part in value._asdict().items()}
