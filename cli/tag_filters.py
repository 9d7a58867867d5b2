"""The options that choose pictures of an index by their tags."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .streams import complain

if TYPE_CHECKING:
    from ..core.index.tags import TagFilter, TagTable

_MOST_TOLD = 3


def add_tag_filters_to(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("pictures by their tags (of an index made with --tagger)")
    group.add_argument(
        "--tag",
        action="append",
        default=[],
        metavar="TAG",
        help="only pictures that have this tag, such as 1girl (may be repeated: then all of them)",
    )
    group.add_argument(
        "--without-tag", action="append", default=[], metavar="TAG", help="none that have this tag (may be repeated)"
    )
    group.add_argument(
        "--rating",
        action="append",
        default=[],
        metavar="RATING",
        help="only pictures of this rating, such as general (may be repeated: then any of them)",
    )


def tag_filter_from(options: argparse.Namespace) -> TagFilter:
    from ..core.index import TagFilter

    return TagFilter(tuple(options.tag), tuple(options.without_tag), tuple(options.rating))


def tell_unknown(asked: TagFilter, table: TagTable | None) -> None:
    """A line on standard error for what no picture has, and for pictures that no tagger saw."""
    if not asked or table is None:
        return
    for name, close in list(asked.unknown(table).items())[:_MOST_TOLD]:
        complain(f"No picture has the tag {name}{f'; there is {close}' if close else ''}.")
    if untold := int((~table.tagged).sum()):
        complain(f"{untold} pictures have no tags yet and are left out.")
