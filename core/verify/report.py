"""What was verified, as plain values for JSON and as lines for a person."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from ..settings import USUAL_SEARCH
from .fidelity import Fidelity
from .searches import Compared, Searched
from .statistics import Estimate
from .weights import Finding

_TOLD = ("unlikely", "contradictions", "repeats", "words")
_MARKS = {True: "ok", False: "FAILED", None: "-"}


def as_values(
    findings: Sequence[Finding], fidelity: Fidelity | None, compared: Compared | None = None
) -> dict[str, Any]:
    values: dict[str, Any] = {
        "findings": [{"check": each.check, "passed": each.passed, "value": each.value} for each in findings]
    }
    if compared is not None:
        values["searches"] = {name: _search_values(found) for name, found in compared.searched.items()}
        values["not searched"] = dict(compared.failed)
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
        values["recommended search"] = fidelity.search
        values["over the usual search"] = {name: _interval(over) for name, over in fidelity.over_usual.items()}
    return values


def _search_values(found: Searched) -> dict[str, Any]:
    told = {name: _interval(getattr(found, name)) for name in _TOLD}
    return {**told, "seconds": round(found.seconds, 3), "prompts": list(found.prompts)}


def as_lines(findings: Sequence[Finding], fidelity: Fidelity | None, compared: Compared | None = None) -> list[str]:
    lines = [f"{_MARKS[each.passed]:<7} {each.check}: {each.value}" for each in findings]
    if compared is not None:
        lines += ["", *_search_lines(compared)]
    if fidelity is not None:
        lines.append("")
        for name, way in fidelity.ways.items():
            kept = "" if way.kept is None else f"  kept {_said(way.kept)}"
            second = "" if way.second is None else f"  second judge {_said(way.second)}"
            lines.append(f"{name:<20} {_said(way.similarity)}{kept}{second}")
        lines.append(f"recommended: {fidelity.recommended}")
        if fidelity.search is not None:
            over = [f"{name} {_said(found)}" for name, found in fidelity.over_usual.items()]
            lines.append(f"recommended search: {fidelity.search}; over {USUAL_SEARCH}: {', '.join(over)}")
    return lines


def _search_lines(compared: Compared) -> Iterator[str]:
    yield f"{'search':<10} {'unlikely':<24} {'contradictions':<24} {'repeats':<24} words  seconds"
    for name, found in compared.searched.items():
        shares = f"{_said(found.unlikely):<24} {_said(found.contradictions):<24} {_said(found.repeats):<24}"
        yield f"{name:<10} {shares} {found.words.mean:5.1f}  {found.seconds:7.2f}"
    yield from (f"{name:<10} not run: {why}" for name, why in compared.failed.items())


def _said(value: Estimate) -> str:
    return f"{value.mean:6.3f} ({value.low:.3f} to {value.high:.3f})"


def _interval(value: Estimate | None) -> dict[str, float | None] | None:
    """JSON has no NaN."""
    if value is None:
        return None
    return {name: None if math.isnan(part) else round(part, 5) for name, part in value._asdict().items()}
