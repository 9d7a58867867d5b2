"""The command that is meant where none is named: a picture is interrogated, a folder goes to batch."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import PurePath

from ..core.printable import visible
from .pictures import PICTURE_SUFFIXES, STANDARD_INPUT
from .streams import command_name, complain


def with_command(arguments: Sequence[str], commands: Collection[str]) -> Sequence[str]:
    """The arguments, with a command before them where they begin with what is described, or with options of that. What
    is neither a command nor a picture stays what it is: a mistake."""
    first = next(iter(arguments), "")
    begins_with_options = first.startswith("-") and first not in (STANDARD_INPUT, "-h", "--help", "--version")
    if not first or not {*commands}.isdisjoint(arguments if begins_with_options else [first]):
        return arguments
    named = next(filter(_is_described, arguments), "") if begins_with_options else first
    if not _is_described(named):
        return arguments
    if not os.path.isdir(named):  # noqa: PTH112
        return ["interrogate", *arguments]
    complain(
        f"{visible(named)} is a folder: this is `{command_name()} batch`, which writes a text beside each picture."
    )
    return ["batch", *arguments]


def _is_described(text: str) -> bool:
    """Whether a text names a picture or a folder, one that is not there included."""
    is_named_so = PurePath(text).suffix.casefold() in PICTURE_SUFFIXES
    return text == STANDARD_INPUT or is_named_so or (bool(text) and os.path.exists(text))  # noqa: PTH110
