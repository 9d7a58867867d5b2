"""What was verified, as plain values for JSON and as lines for a person."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

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
                "pictures": way.pictures,
                "similarity": _interval(way.similarity),
                "over quick": _interval(way.over_quick),
                "over the words": _interval(way.over_words),
                "colours off": _interval(way.coarse),
                "second judge": _interval(way.second),
                "seconds": round(way.seconds, 3),
            }
            for name, way in fidelity.ways.items()
        }
        values["recommended"] = fidelity.recommended
        values["fingerprint"] = fidelity.fingerprint
        values["seconds a rendering"] = round(fidelity.seconds, 3)
        values["recommended search"] = fidelity.search
        values["over the usual search"] = {name: _interval(over) for name, over in fidelity.over_usual.items()}
    return values


def _search_values(found: Searched) -> dict[str, Any]:
    told = {name: _interval(getattr(found, name)) for name in _TOLD}
    return {**told, "seconds": round(found.seconds, 3), "prompts": list(found.prompts)}


def as_lines(findings: Sequence[Finding], compared: Compared | None = None) -> list[str]:
    """What is found without rendering; the rest is `page`'s."""
    lines = [f"{_MARKS[each.passed]:<7} {each.check}: {each.value}" for each in findings]
    return lines if compared is None else [*lines, "", *_search_lines(compared)]


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
