"""`unrender batch`: many pictures, safe against any end of the process."""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ..core.batch import (
    Batch,
    FolderSource,
    RayBatch,
    Shard,
    Source,
    Template,
    TextSink,
    sink_named,
    source_named,
    undo,
)
from ..core.batch.columns import SEEN_COLUMNS
from ..core.batch.folders import JoinedSource
from ..core.batch.kinds import base_of
from ..core.batch.outputs import OUTPUTS
from ..core.batch.sinks import EXISTING, Sink
from ..core.batch.template import FIELDS
from ..core.batch.worker import SinkOfShard
from ..core.errors import Cancelled, SettingsError
from ..core.printable import visible
from ..core.settings import MODES
from . import engine_options
from .streams import complain, quiet_libraries, write_line
from .tables import add_formulas_to
from .toys import tell_if_toy

_MOST_BELOW = 100_000
_EPILOG = """\
output
{outputs}

Results are written as they come. However a run ends, the same command with --resume goes on where it was. A picture
that fails does not stop the others: errors.csv lists it with the reason, and --resume tries it once more.

exit status
  0, or 1 when a picture failed
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "batch",
        help="describe whole folders, lists and data sets of pictures",
        usage="%(prog)s SOURCE... [options]",
        description="Describes many pictures.",
        epilog=_EPILOG.format(outputs=_outputs()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="folders, pictures, patterns; a CSV, JSONL or Parquet file with paths; WebDataset tar files",
    )
    parser.add_argument("--mode", choices=MODES, help="as for interrogate (default: what suits --for, else best)")
    _add_sources(parser.add_argument_group("which pictures"))
    _add_outputs(parser.add_argument_group("output"))
    engine_options.add_to(parser)


def _add_sources(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--recursive", action="store_true", help="also those in the folders' folders")
    group.add_argument("--glob", default="*", metavar="PATTERN", help='of a folder only these, such as "*.jpg"')
    group.add_argument(
        "--shard", type=_shard, metavar="I/N", help="only the I-th of N parts, for N machines; a part for each name"
    )
    group.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: on the cluster that RAY_ADDRESS names, or on all of this machine (default: local)",
    )
    group.add_argument("--jobs", type=int, metavar="N", help="threads that decode pictures (default: what suits)")


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--output", choices=tuple(OUTPUTS), default=TextSink.output, help="see below (default: %(default)s)"
    )
    group.add_argument("-o", dest="place", type=Path, metavar="WHERE", help="the file or folder that is written")
    group.add_argument("--existing", choices=EXISTING, help="what to do with what is there (default: skip, or refuse)")
    group.add_argument(
        "--template",
        default="{prompt}",
        metavar="TEXT",
        help=f"what is written, with {', '.join(f'{{{field}}}' for field in FIELDS)} (default: {{prompt}})",
    )
    group.add_argument(
        "--columns",
        type=lambda text: tuple(name.strip() for name in text.split(",")),
        default=(),
        metavar="A,B",
        help=f"more in {_with_columns()}: analysis (as the command analyze has it), embedding (what the CLIP sees); "
        "of a tagger, also in csv: tags, characters, rating",
    )
    add_formulas_to(group)
    group.add_argument("--resume", action="store_true", help="go on with a run that was ended, or got new pictures")
    group.add_argument("--dry-run", action="store_true", help="find the prompts and show what would be written")
    group.add_argument("--undo", type=Path, metavar="FILE", help="give renamed pictures their names back, nothing else")


def _outputs() -> str:
    """A line for each, with what else is to be said to it here."""
    return "\n".join(f"  {name:<8} {kind.details}{_with_options(kind)}" for name, kind in OUTPUTS.items())


def _with_options(kind: type[Sink]) -> str:
    places = {"file": f", in {kind.file_name()} or the file -o", "folder": ", in the folder -o"}
    columns = "; more with --columns" if kind.takes_columns else ""
    undo = "; --undo takes it back" if kind.undoable else ""
    return places.get(kind.where, "") + columns + undo + (" (default)" if kind is TextSink else "")


def _with_columns() -> str:
    return " and ".join(name for name, kind in OUTPUTS.items() if set(SEEN_COLUMNS) <= set(kind.takes_columns))


def run(options: argparse.Namespace) -> int:
    """Does the run, or undoes one. Returns 1 when a picture failed. Errors that concern all pictures are raised."""
    if options.undo is not None:
        return _undo(options)
    if not options.sources:
        raise SettingsError("There is no source", "name a folder, a list, a tar file or pictures")
    quiet_libraries()

    source = source_named(options.sources, options.recursive, options.glob)
    template = Template(options.template)
    sink_of = partial(
        sink_named,
        options.output,
        source.root,
        options.place,
        options.existing,
        template,
        columns=options.columns,
        formulas=options.formulas,
        base=base_of(source),
    )
    _tell_what_lies_below(source)
    started = time.perf_counter()
    run_here_or_there = _run_on_ray if options.engine == "ray" else _run_here
    batch = run_here_or_there(options, source, sink_of)
    where = "nothing is written" if options.dry_run else f"written {_where(sink_of(shard=options.shard or Shard()))}"
    _sum_up(batch, time.perf_counter() - started, where)
    return 1 if batch.failed or batch.errors is not None else 0


def _run_here(options: argparse.Namespace, source: Source, sink_of: SinkOfShard) -> Batch:
    from ..core.engine import Engine
    from .progress import terminal_progress

    shard = options.shard or Shard()
    sink = sink_of(shard=shard)
    settings, mode = engine_options.settings_and_mode_from(options)
    settings = engine_options.with_bank(settings, options)
    tell_if_toy("batch", settings, mode=mode)
    with Engine(settings, progress=terminal_progress()) as engine:
        batch = Batch(
            engine,
            source,
            sink,
            mode,
            resume=options.resume,
            dry_run=options.dry_run,
            shard=shard,
            jobs=options.jobs,
        )
        with _told_when_stopped(kept=not options.dry_run):
            for outcome in batch:
                _tell(batch.remarks)
                if outcome.result is None:
                    complain(outcome.error)
                elif options.dry_run:
                    write_line(f"{visible(outcome.name)}\t{sink.shown(outcome)}")
    _tell(batch.remarks)
    return batch


def _run_on_ray(options: argparse.Namespace, source: Source, sink_of: SinkOfShard) -> RayBatch:
    from .progress import terminal_progress

    if options.shard is not None:
        raise SettingsError("--engine ray makes shards of its own", "leave out --shard")
    if options.dry_run:
        raise SettingsError("--engine ray writes where it finds the prompts", "leave it out for --dry-run")
    (settings, mode), progress = engine_options.settings_and_mode_from(options), terminal_progress()
    settings = engine_options.with_bank(settings, options)
    how = {"resume": options.resume, "jobs": options.jobs, "progress": progress}
    batch = RayBatch(settings, source, sink_of, mode, **how)
    with _told_when_stopped():
        for done in batch:
            _tell(list(done.remarks))
            for failure in done.failures:
                complain(failure.error)
    return batch


def _tell(remarks: list[str]) -> None:
    """Each once."""
    while remarks:
        complain(remarks.pop(0))


@contextmanager
def _told_when_stopped(kept: bool = True) -> Iterator[None]:
    try:
        yield
    except (KeyboardInterrupt, Cancelled):
        if kept:
            complain("what was found is kept; go on with --resume.")
        raise


def _tell_what_lies_below(source: Source) -> None:
    """What a run without --recursive leaves out, before hours go into it."""
    for each in source.parts if isinstance(source, JoinedSource) else (source,):
        count = each.below(_MOST_BELOW) if isinstance(each, FolderSource) else 0
        if count:
            more = " or more" if count == _MOST_BELOW else ""
            complain(f"{_pictures(count, more)} in folders below {each.root} left out; --recursive takes them too.")


def _where(sink: Sink) -> str:
    places = {"file": f"to {getattr(sink, 'path', sink.place)}", "folder": f"to {sink.place}"}
    return places.get(sink.where, "beside the pictures")


def _pictures(count: int, more: str = "") -> str:
    return f"{count:,}{more} picture{'' if count == 1 and not more else 's'}"


def _sum_up(batch: Batch | RayBatch, seconds: float, where: str) -> None:
    if not batch.total and not batch.skipped:
        complain("no pictures are left to do.")
        return
    rate = batch.written / seconds
    facts = [f"{_pictures(batch.written)} in {seconds:,.0f} s, {rate:,.2f} a second", where]
    if batch.skipped:
        facts.append(f"{batch.skipped:,} skipped because their prompt is there")
    if batch.errors is not None:
        failed = f"{batch.failed:,} failed" if batch.failed else "others failed before"
        facts.append(f"{failed}, see {batch.errors}")
    complain("; ".join(facts) + ".")


def _undo(options: argparse.Namespace) -> int:
    count, complaints = undo(options.undo)
    for complaint in complaints:
        complain(complaint)
    complain(f"{count:,} files have their names back.")
    return 1 if complaints else 0


def _shard(text: str) -> Shard:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form I/N, such as 1/4")
    try:
        return Shard(int(found[1]), int(found[2]))
    except SettingsError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
