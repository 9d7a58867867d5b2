"""`unrender search`: the pictures of an index that are nearest to words or to a picture."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import SettingsError
from ..core.printable import visible
from . import engine_options
from .match import pictures_and_phrases
from .pictures import read_picture
from .streams import command_name, quiet_libraries, tell_written, write_json, write_line
from .tables import add_formulas_to, write_csv
from .tag_filters import add_tag_filters_to, tag_filter_from, tell_unknown

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from ..core.index import Found, PictureIndex
    from ..core.settings import Settings

_EPILOG = """\
examples
  %(prog)s photographs "a red boat in a harbour"
  %(prog)s photographs sketch.png --top 30 --sheet found.png
  %(prog)s photographs "a cat" --json | ...
  %(prog)s pictures "at night" --tag 1girl --without-tag solo --rating general
  %(prog)s pictures --tag cat_ears --top 100

what is printed
  a line for each picture: its cosine similarity, a tab and its path, the nearest first; where there are tags alone, the
  least of their confidences instead, the surest first
  --json: an object a line with image, similarity, and confidence where tags are given; --csv: a table of them
  The words should say all that counts, as a caption would; the similarity is no probability.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "search",
        help="find pictures of an indexed folder by words or by a picture",
        usage="%(prog)s INDEX [QUERY] [options]",
        description="Finds the pictures of an indexed folder that are nearest to words, or to a picture, or that have "
        "some tags.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, parser=parser)
    parser.add_argument("index", metavar="INDEX", help=f"a folder that `{command_name()} index` saw, or its index")
    parser.add_argument(
        "query",
        nargs="?",
        metavar="QUERY",
        help="words, or a picture file; - reads one from standard input; may be left out where tags are given",
    )
    parser.add_argument("--top", type=int, default=10, metavar="N", help="pictures to find (default: 10)")
    add_tag_filters_to(parser)
    engine_options.add_clip_to(parser)
    output = parser.add_argument_group("output")
    output.add_argument("--sheet", type=Path, metavar="FILE", help="a contact sheet of them, such as found.png")
    form = output.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="an object a line, and no progress bars")
    form.add_argument("--csv", action="store_true", help="a table for a spreadsheet, and no progress bars")
    add_formulas_to(output)


def run(options: argparse.Namespace) -> int:
    """Searches once. Errors are raised."""
    quiet_libraries()
    if options.top < 1:
        raise SettingsError(f"--top is {options.top}", "give 1 or more")
    tags = tag_filter_from(options)
    by_tags_alone = options.query is None
    if not (options.query or "").strip() and not (by_tags_alone and tags):
        raise SettingsError("There is nothing to search", "give words, a picture, or --tag")

    from ..core.index import read_index, search
    from ..core.index.file import refuse_empty
    from ..core.places import check_picture

    index = read_index(options.index)
    refuse_empty(index)
    pictures, texts = ([], []) if by_tags_alone else pictures_and_phrases([options.query])
    picture = read_picture(pictures[0]) if pictures else None
    if options.sheet is not None:
        check_picture(options.sheet, chain(pictures, map(index.path, range(len(index)))))
    asked = None if by_tags_alone else _features(index, picture, texts, options)
    found = search(index, asked, options.top, tags)
    tell_unknown(tags, index.tags)
    _show(found, options)
    if options.sheet is not None:
        _draw(_said(options), found, options.sheet)
    return 0


def _features(index: PictureIndex, picture: Image | None, texts: list[str], options: argparse.Namespace) -> np.ndarray:
    """Of what is searched: [width]."""
    from ..core.engine import Engine
    from .progress import terminal_progress

    progress = terminal_progress(quiet=options.json or options.csv)
    with Engine(settings_of(index, options), progress=progress) as engine, progress.task("Searching"):
        index.check(engine)
        asked = engine.text_features(texts) if picture is None else engine.picture_features(picture)
        return asked[0].numpy()


def settings_of(index: PictureIndex, options: argparse.Namespace) -> Settings:
    """The index's own model and fit where the options name no other."""
    settings = engine_options.clip_settings_from(options)
    if options.clip is None and options.target is None:
        settings = replace(settings, clip=index.model)
    return settings if options.fit is not None else replace(settings, fit=index.fit)


def _show(found: Sequence[Found], options: argparse.Namespace) -> None:
    """What was not asked for has no column."""
    measured = [] if options.query is None else ["similarity"]
    if options.tag or options.rating:
        measured.append("confidence")
    rows = [(str(each.path), *(round(getattr(each, name), 4) for name in measured)) for each in found]
    if options.csv:
        write_csv([("image", *measured), *rows], options.formulas)
        return
    for path, *values in rows:
        if options.json:
            write_json({"image": path, **dict(zip(measured, values, strict=True))})
        else:
            write_line("\t".join([*(f"{value:.3f}" for value in values[:1]), visible(path)]))


def _said(options: argparse.Namespace) -> str:
    """What was searched, as the sheet's title."""
    tags = [*options.tag, *(f"without {tag}" for tag in options.without_tag), *options.rating]
    return ", ".join(filter(None, (options.query, *tags)))


def _draw(query: str, found: Sequence[Found], path: Path) -> None:
    from ..core.files import save_picture
    from ..core.index import draw_found

    try:
        save_picture(draw_found(query, found), path)
        tell_written(path)
    except (OSError, ValueError) as error:
        raise SettingsError(f"--sheet cannot be written to {path} ({error})", "give one such as found.png") from error
