"""What a run does that finds its output changed by somebody: keeps that, and writes all it knows once more."""

from __future__ import annotations

from collections.abc import Iterator

from .items import Item, Outcome
from .journal import Past, outcomes
from .sinks import Sink
from .todo import Todo, as_noted


def set_aside(sink: Sink) -> str:
    """Returns what is to be told. Raises BatchError."""
    kept = sink.set_aside()
    return (
        f"{sink.place / sink.label} has been changed since the run wrote it; it is kept as {kept}, and a new one with "
        "all that was found takes its place when the run ends."
    )


def results_before(sink: Sink, past: Past, work: Todo) -> Iterator[tuple[Item, Outcome]]:
    """The last word on each picture of the chunks before the one that was begun, in the journal's order."""
    last = {outcome.name: number for number, outcome in enumerate(outcomes(sink.journal))}
    for number, outcome in enumerate(outcomes(sink.journal)):
        if outcome.result is not None and last[outcome.name] == number and outcome.name not in past.pending:
            yield work.known.get(outcome.name) or as_noted(outcome, work.root, sink), outcome
