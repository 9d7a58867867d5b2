"""The sinks that a user can name, in the order menus have. Each says of itself on its class what they and help need."""

from __future__ import annotations

from .renaming import CopySink, RenameSink
from .sinks import Sink
from .tables import CsvSink, JsonLinesSink, ParquetSink, WildcardSink
from .tars import TarSink
from .texts import TextSink
from .xmp import DescribedCopySink

OUTPUTS: dict[str, type[Sink]] = {}
"""By name. Who adds one while a program runs (see `register`) finds it wherever they are offered after that."""


def register(*kinds: type[Sink]) -> None:
    """Lets sinks be named. Raises ValueError for a name that another one has."""
    for kind in kinds:
        if OUTPUTS.get(kind.output, kind) is not kind:
            raise ValueError(f"There is an output {kind.output!r} already; call this one something else.")
        OUTPUTS[kind.output] = kind


register(TextSink, CsvSink, JsonLinesSink, ParquetSink, WildcardSink, RenameSink, CopySink, DescribedCopySink, TarSink)
