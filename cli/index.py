"""`unrender index`: what a folder's pictures show, kept so that they can be searched and looked through."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..core.printable import visible
from . import engine_options
from .streams import command_name, complain, quiet_libraries, write_line
from .tag_options import add_tagger_to, with_tagger

_EPILOG = """\
what happens
  every picture in the folder and in those below it is looked at once; run it again after changes, and only what is
  new or has changed is looked at, and what is gone is dropped. It can be stopped and goes on where it was.
  --tagger NAME keeps each picture's tags too, of all pictures that it has not told them of by the same thresholds.
  The pictures stay as they are; the index is one file, FOLDER/.unrender/index.safetensors unless -o names another.

then
  unrender search FOLDER "a red boat"
  unrender search FOLDER --tag 1girl --without-tag solo --rating general
  unrender curate FOLDER
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "index",
        help="prepare a folder of pictures for search and curate",
        usage="%(prog)s FOLDER [options]",
        description="Keeps what a CLIP sees in each picture of a folder in one file, for search and curate.",
        epilog=_EPILOG.replace("  unrender ", f"  {command_name()} "),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a folder with pictures")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="the index, when not in the folder itself")
    engine_options.add_clip_to(parser)
    add_tagger_to(parser)


def run(options: argparse.Namespace) -> int:
    """Prints where the index is. The exit status is 1 when a picture could not be read. Errors are raised."""
    quiet_libraries()
    settings = with_tagger(engine_options.clip_settings_from(options), options)

    from ..core.engine import Engine
    from ..core.index import for_filters, update_index
    from .progress import terminal_progress

    with Engine(for_filters(settings), progress=terminal_progress()) as engine:
        updated = update_index(engine, options.folder, options.output)
    for reason in updated.failures.values():
        complain(reason)
    counts = f"{updated.added} looked at, {updated.kept} known, {updated.removed} gone"
    if updated.tagged:
        counts += f", {updated.tagged} tagged"
    write_line(f"{visible(str(updated.path))}\t{len(updated.index)} pictures: {counts}")
    return int(bool(updated.failures))
