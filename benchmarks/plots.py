"""Figures from the benchmarks' logs: what is read and what it takes.

    python -m benchmarks.plots [--out docs] [--logs benchmarks/logs]

Writes into the folder `plots-read.png`: what is read of micro's six factors in what prompts and embeddings render, by
the kind of work that each way takes, and of moving pictures; and `plots-time.png`: what each search takes at ViT-L-14's
size, and how many texts it has encoded beside what is read of its prompts on micro. Nothing is measured here: the logs
are what other benchmarks have written.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

LOGS = Path(__file__).with_name("logs")
COLOURS = {
    "closed form": "#6c757d",
    "learned map": "#1f77b4",
    "search": "#0b6e4f",
    "gradient": "#d9822b",
    "ceiling": "#212529",
    "moving": "#7a5195",
}
_TIMED = re.compile(r"^(peer|honest|honest, families|honest, lists|written) +([\d.]+) +[\d.]+ +[\d.]+ +[\d.]+ +(\d+)")


_AMOUNTS = (" 0.5", " 1")
"""Of directions, that are shown."""


class Bar(NamedTuple):
    """A mean and its 95 % interval. kind: one of `COLOURS`."""

    name: str
    kind: str
    mean: float
    low: float
    high: float


class Time(NamedTuple):
    """Of one search. read: of micro's factors in what its prompts render, None where these were not rendered."""

    name: str
    seconds: float
    texts: int
    read: float | None


def embeddings(fidelity: Mapping[str, Any], soft: Mapping[str, Any]) -> list[Bar]:
    """Of `fidelity.py` and `soft_prompts.py`, on test pictures."""
    known = (
        *(("true caption, known words", "ceiling", fidelity), ("interrogated, honest", "search", soft)),
        *(("best quality", "gradient", soft), ("soft, no words", "gradient", soft)),
        *(("interrogated, best", "search", fidelity), ("interrogated, classic", "search", fidelity)),
        *(("interrogated, fast", "search", fidelity), ("pinv", "closed form", fidelity)),
        *(("ridge", "learned map", fidelity), ("bank", "learned map", fidelity)),
    )
    return [Bar(name, kind, *log[name]["mean"]) for name, kind, log in known if name in log]


def moving(log: Mapping[str, Any]) -> list[Bar]:
    """Of `moving.py`."""
    found: list[Bar] = []
    for part, values in log.items():
        title = part.split(",")[0]
        if title == "animate":
            found.append(Bar("animate: a line's own frame", "moving", *values["read"]))
        for name, each in values.items():
            if title == "optimise" and isinstance(each, dict):
                kind = "ceiling" if name == "rendered" else "moving"
                found.append(Bar(f"optimise: {name}, {each['pictures']} prompts", kind, *each["read"]))
            elif title == "directions" and isinstance(each, dict) and name.endswith(_AMOUNTS):
                found.append(Bar(f"vary, {name}: changed", "moving", *each["changed"]))
                found.append(Bar(f"vary, {name}: others kept", "moving", *each["kept"]))
            elif title == "pieces" and isinstance(each, list):
                found.append(Bar(f"locate: {name}", "moving", *each))
    return found


def times(log: str, fidelity: Mapping[str, Any], soft: Mapping[str, Any]) -> list[Time]:
    """Of the first table of `searches.py`'s log."""
    read = {
        "peer": fidelity["interrogated, best"]["mean"][0],
        "honest": soft["interrogated, honest"]["mean"][0],
    }
    found: dict[str, Time] = {}
    for line in log.splitlines():
        row = _TIMED.match(line)
        if row and row[1] not in found:
            found[row[1]] = Time(row[1], float(row[2]), int(row[3]), read.get(row[1]))
    return list(found.values())


def draw_bars(path: Path, panels: Sequence[tuple[str, Sequence[Bar]]]) -> None:
    """One panel below the other."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    counts = [max(1, len(bars)) for _, bars in panels]
    figure = Figure(figsize=(9, 1.6 + 0.3 * sum(counts)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(panels), 1, height_ratios=counts, squeeze=False)
    for axes, (title, bars) in zip(grid[:, 0], panels, strict=True):
        places = range(len(bars))
        errors = [[each.mean - each.low for each in bars], [each.high - each.mean for each in bars]]
        colours = [COLOURS[each.kind] for each in bars]
        axes.barh(places, [each.mean for each in bars], xerr=errors, color=colours, height=0.7, ecolor="#adb5bd")
        axes.set_yticks(places, [each.name for each in bars])
        axes.set(xlim=(0, 1), title=title)
        axes.invert_yaxis()
        axes.grid(axis="x", alpha=0.3)
    kinds = [each.kind for each in panels[0][1]]
    patches = [Patch(color=COLOURS[kind], label=kind) for kind in dict.fromkeys(kinds)]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(patches))
    figure.savefig(path, dpi=100)


def draw_times(path: Path, found: Sequence[Time]) -> None:
    """Seconds of each search; and texts, of those that were rendered, beside what is read."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    ordered = sorted(found, key=lambda each: each.seconds)
    bars = left.barh([each.name for each in ordered], [each.seconds for each in ordered], color=COLOURS["search"])
    left.bar_label(bars, fmt="%.1f", padding=3)
    left.invert_yaxis()
    left.margins(x=0.15)
    left.set(xlabel="CPU seconds a photograph, ViT-L-14")
    for each in (each for each in ordered if each.read is not None):
        right.scatter([each.texts], [each.read], color=COLOURS["search"], s=60)
        right.annotate(each.name, (each.texts, each.read or 0), xytext=(8, -4), textcoords="offset points")
    right.set(xscale="log", xlabel="texts encoded a photograph, ViT-L-14", ylabel="factors read, micro", ylim=(0.8, 1))
    right.margins(x=0.3)
    right.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    parser.add_argument("--logs", type=Path, default=LOGS)
    options = parser.parse_args()
    names = ("fidelity/fidelity.json", "soft_prompts.json", "moving.json")
    fidelity, soft, moved = (json.loads((options.logs / name).read_text("utf-8")) for name in names)
    options.out.mkdir(parents=True, exist_ok=True)
    panels = [
        ("factors read in what is rendered, micro's test pictures", embeddings(fidelity, soft)),
        ("factors read or found, moving pictures and pieces of a sheet", moving(moved)),
    ]
    draw_bars(options.out / "plots-read.png", panels)
    log = (options.logs / "searches.log").read_text("utf-8")
    draw_times(options.out / "plots-time.png", times(log, fidelity, soft))


if __name__ == "__main__":
    main()
