"""What the benchmarks share: taking turns, counting operations, showing and keeping results."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

Sides = dict[str, Callable[[], Any]]


@dataclass(frozen=True)
class Seconds:
    """CPU and wall seconds of each repetition."""

    cpu: list[float]
    wall: list[float]


@dataclass(frozen=True)
class Row:
    """One comparison; seconds are medians, of CPU time on a CPU and of wall time on a GPU.

    theirs, exact, two: the peer, this engine in float32 and in two precisions (None where that is not measured).
    ratio, least_ratio: theirs over ours, median and worst repetition (the peer's fastest over our slowest).
    per_second: candidates a second of the faster of ours; share: of the time that the needed operations take at the
    matrix rate measured in this run (None where it is not counted).
    """

    what: str
    theirs: float
    exact: float
    two: float | None
    exact_ratio: float
    exact_least_ratio: float
    two_ratio: float | None
    two_least_ratio: float | None
    wall: dict[str, float]
    per_second: float | None = None
    exact_share: float | None = None
    two_share: float | None = None
    note: str = ""


def alternating(sides: Sides, repeats: int, device: torch.device) -> dict[str, Seconds]:
    """Each side in turn, `repeats` times. On a GPU everything is called once before, unmeasured."""
    seconds = {name: Seconds([], []) for name in sides}
    if device.type == "cuda":
        for call in sides.values():
            call()
    for _ in range(repeats):
        for name, call in sides.items():
            _wait(device)
            cpu, wall = time.process_time(), time.perf_counter()
            call()
            _wait(device)
            seconds[name].cpu.append(time.process_time() - cpu)
            seconds[name].wall.append(time.perf_counter() - wall)
    return seconds


def compare(
    what: str,
    seconds: dict[str, Seconds],
    device: torch.device,
    scale: float = 1.0,
    note: str = "",
    candidates: int | None = None,
    least_seconds: dict[str, float] | None = None,
) -> Row:
    """scale: by how much more the whole is than what the peer was given. least_seconds: of the needed operations."""
    times = {name: one.wall if device.type == "cuda" else one.cpu for name, one in seconds.items()}
    theirs = [scale * value for value in times["theirs"]]
    exact, two = times["exact"], times.get("two")
    least = least_seconds or {}
    fastest = min(median(exact), median(two) if two else float("inf"))
    return Row(
        what,
        median(theirs),
        median(exact),
        median(two) if two else None,
        median(theirs) / median(exact),
        min(theirs) / max(exact),
        median(theirs) / median(two) if two else None,
        min(theirs) / max(two) if two else None,
        {name: median(one.wall) for name, one in seconds.items()},
        candidates / fastest if candidates else None,
        least["exact"] / median(exact) if "exact" in least else None,
        least["two"] / median(two) if two and "two" in least else None,
        note,
    )


def matrix_rate(width: int, dtype: torch.dtype, device: torch.device) -> float:
    """Floating-point operations a second of a product as wide as the MLP's, the best of twenty."""
    a = torch.randn(4096, width, device=device).to(dtype)
    b = torch.randn(width, 4 * width, device=device).to(dtype)
    best = float("inf")
    for _ in range(20):
        _wait(device)
        started = time.perf_counter()
        a @ b
        _wait(device)
        best = min(best, time.perf_counter() - started)
    return 2 * 4096 * width * 4 * width / best


def operations(weights: Any, nodes: int, ends: int, prefix: int) -> int:
    """Multiplications and additions of a round: the prompt's and the trie's tokens through all blocks, the last block's
    query, output and MLP at the ends only. Attention is left out: less than a tenth."""
    width, hidden = weights.positions.shape[1], weights.blocks[0].up.shape[0]
    whole = 2 * (4 * width * width + 2 * width * hidden)
    last = 2 * 2 * width * width
    at_ends = 2 * (2 * width * width + 2 * width * hidden + width * weights.output_width)
    return (nodes + prefix) * ((len(weights.blocks) - 1) * whole + last) + ends * at_ends


def show(title: str, rows: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    for heading in ("", "peer", "float32", "x", "worst", "share", "two prec.", "x", "worst", "share", "a second", ""):
        table.add_column(heading, justify="left" if not heading else "right")
    for row in rows:
        table.add_row(
            row.what,
            *(f"{row.theirs:.2f}", f"{row.exact:.3f}", f"{row.exact_ratio:.1f}", f"{row.exact_least_ratio:.1f}"),
            *(_percent(row.exact_share), _number(row.two, 3), _number(row.two_ratio, 1)),
            *(_number(row.two_least_ratio, 1), _percent(row.two_share), _number(row.per_second, 0), row.note),
        )
    Console(width=160).print(table)


def keep(folder: Path, name: str, report: dict[str, Any], rows: list[Row]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**report, "rows": [asdict(row) for row in rows]}, indent=1)
    (folder / f"{name}.json").write_text(text + "\n")


def plot(path: Path, title: str, rounds: list[tuple[int, int, Row]]) -> None:
    """Seconds of a round against candidates and length of the prompt. rounds: (candidates, tokens, row)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    most = max(count for count, _, _ in rounds)
    middle = sorted({tokens for _, tokens, _ in rounds})[1]
    panels = [
        ("candidates", [(count, row) for count, tokens, row in rounds if tokens == middle]),
        ("tokens of the prompt", [(tokens, row) for count, tokens, row in rounds if count == most]),
    ]
    for axes, (label, points) in zip(figure.subplots(1, 2), panels, strict=True):
        points.sort(key=lambda point: point[0])
        for name, colour in (("theirs", "tab:gray"), ("exact", "tab:blue"), ("two", "tab:orange")):
            known = [(x, getattr(row, name)) for x, row in points if getattr(row, name) is not None]
            legend = {"theirs": "clip-interrogator 0.6.0", "exact": "float32", "two": "two precisions"}[name]
            axes.plot([x for x, _ in known], [y for _, y in known], "o-", color=colour, label=legend)
        axes.set(xlabel=label, ylabel="seconds", yscale="log")
        axes.grid(alpha=0.3)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=100)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f}%"
