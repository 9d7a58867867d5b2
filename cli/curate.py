"""`unrender curate`: what may be amiss in an indexed folder, as a table and as a page to look at."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import UnrenderError
from ..core.printable import visible
from . import engine_options
from .search import settings_of
from .streams import command_name, complain, quiet_libraries, tell_written, write_line
from .tables import add_formulas_to
from .tag_filters import add_tag_filters_to, tag_filter_from, tell_unknown

if TYPE_CHECKING:
    from ..core.curate import Kind, Report

_TABLE, _PAGE = "curation.csv", "curation.html"
_EPILOG = """\
what is looked for
  duplicates    copies of one picture: the same bytes, other sizes, crops to three quarters and more, other compression;
                the picture they are listed beside shows all that they show
  near          pictures that share three quarters and more but are no copies: bursts, frames of a video
  turned        pictures on their side or upside down, by what upright looks like in this folder (100 pictures or more)
  outliers      pictures that are like no others here
  captions      PICTURE.txt beside a picture, where many other pictures' captions suit it better

what is written
  DIR/curation.csv    kind, image, other, left, score, note, overlap (what image and other share, 0 to 1), tags, rating
  DIR/curation.html   one page with small copies of the pictures
  Nothing is deleted, moved or turned. Run `unrender index` first when the folder has changed.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "curate",
        help="find duplicates, turned pictures, outliers and wrong captions in an indexed folder",
        usage="%(prog)s INDEX [options]",
        description="Finds duplicates, turned pictures, outliers and wrong captions in an indexed folder.",
        epilog=_EPILOG.replace("`unrender", f"`{command_name()}"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument("index", metavar="INDEX", help=f"a folder that `{command_name()} index` saw, or its index")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where curation.csv and curation.html go (default: here)",
    )
    add_formulas_to(parser)
    add_tag_filters_to(parser)
    engine_options.add_clip_to(parser)


def run(options: argparse.Namespace) -> int:
    """Prints how many of each kind were found. Errors are raised."""
    quiet_libraries()

    from ..core.index import read_index
    from ..core.places import check_folder
    from .progress import terminal_progress

    check_folder(options.output, [_TABLE, _PAGE])
    index, tags = read_index(options.index), tag_filter_from(options)
    tell_unknown(tags, index.tags)
    settings = settings_of(index, options)
    del index
    from ..core.curate import KINDS, curate  # and with it torch, which a refusal need not wait for
    from ..core.engine import Engine

    with Engine(settings, progress=terminal_progress()) as engine:
        report = curate(engine, options.index, tags)
    for reason in report.failures.values():
        complain(reason)
    page = _write(report, options.output, options.formulas)
    tell_written(options.output, f"{_TABLE} and {_PAGE}")
    counts = ", ".join(_count(report, kind) for kind in KINDS)
    write_line(f"{visible(str(page))}\t{report.pictures} pictures: {counts}")
    for remark in report.remarks:
        complain(remark)
    return int(bool(report.failures))


def _count(report: Report, kind: Kind) -> str:
    least = report.least_overlap(kind)
    shared = "" if least is None else f" (sharing {least:.0%} or more)"
    return f"{kind} {len(report.of(kind))}{shared}"


def _write(report: Report, folder: Path, formulas: bool) -> Path:
    from ..core.batch.csv_lines import csv_lines
    from ..core.curate import write_page
    from ..core.files import write_whole

    page = folder / _PAGE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / _TABLE, csv_lines(report.rows(folder), formulas))
        write_page(report, page)
    except OSError as error:
        raise UnrenderError(
            f"The report cannot be written to {folder} ({error.strerror})", "name another with -o"
        ) from error
    return page
