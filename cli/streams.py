"""Standard output and standard error: their encoding, what is kept off them, and a reader that leaves."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
import warnings
from typing import Any

from ..core.errors import UnrenderError
from ..core.printable import visible
from .wording import WORDS, Words, command_name

__all__ = ["abandon_output", "ask", "command_name", "complain", "prepare", "quiet_libraries", "reader_left"]
__all__ += ["tell_written", "write_json", "write_line"]

BROKEN_PIPE_STATUS = 141  # what shells report for a program whose reader left


def prepare() -> None:
    """Makes every prompt and file name printable; Windows would pipe in a code page that lacks many."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="surrogateescape")


def quiet_libraries() -> None:
    """Keeps the libraries' own bars and warnings off standard error; failures still arrive as exceptions.

    Call it before they are imported. What the user has set stays as it is.
    """
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        # of a driver that is too old, or a card that PyTorch was not built for
        warnings.filterwarnings("default", category=UserWarning, module=r"torch\.(cuda|xpu|mps)")


def complain(message: object, words: Words = WORDS) -> None:
    """Writes one line to standard error; an error is told in the command line's words, or those of one command."""
    text = message.said(words) if isinstance(message, UnrenderError) else str(message)
    sys.stderr.write(f"unrender: {visible(' '.join(text.split()))}\n")
    sys.stderr.flush()


def ask(question: str) -> bool:
    """Whether who sits at the terminal says yes."""
    sys.stderr.write(f"{visible(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().casefold() in ("y", "yes")


def tell_written(path: object, what: str = "") -> None:
    """Says on standard error where something is, which standard output does not hold."""
    complain(f"{what and what + ' '}written to {path}.")


def write_line(line: str = "", kept: str = "\t") -> None:
    """Writes one line to standard output, where nothing in it steers the terminal. kept: see `visible`."""
    sys.stdout.write(visible(line, kept) + "\n")
    sys.stdout.flush()


def write_json(values: Any) -> None:
    """One line of JSON, in ASCII; all that steers a terminal is escaped as JSON has it."""
    sys.stdout.write(json.dumps(values).replace("\x7f", "\\u007f") + "\n")
    sys.stdout.flush()


def reader_left(error: OSError) -> bool:
    """Whether the reader of standard output is gone; Windows calls that an invalid argument."""
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)


def abandon_output() -> int:
    """Ends quietly after the reader of standard output left (`| head -1`). Returns the exit status."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())  # or Python would complain while flushing at exit
    return BROKEN_PIPE_STATUS
