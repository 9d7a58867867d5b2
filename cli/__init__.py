"""The command line: `unrender interrogate`, `unrender locate`, `unrender models`, and others."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Collection, Sequence
from errno import ENAMETOOLONG

from .. import __version__
from ..core.errors import Cancelled, SettingsError, UnrenderError
from . import (
    analyze,
    animate,
    batch,
    curate,
    demo,
    doctor,
    embed,
    guessed,
    index,
    interrogate,
    interruption,
    locate,
    match,
    metadata,
    models,
    optimise,
    search,
    serve,
    streams,
    tune,
    ui,
    vary,
    verify,
)
from .wording import words_for

FAILED, BAD_USAGE, STOPPED = 1, 2, 130  # as other programs have it; argparse takes 2 as well


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns the exit status: 0, 1 after a failure, 2 for bad usage, 130 after Ctrl-C."""
    streams.prepare()
    _keep_few_primitives()
    parser = _parser()
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = parser.parse_args(guessed.with_command(given, _commands(parser)))
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except SettingsError as error:
        streams.complain(error, words_for(options.parser))
        return BAD_USAGE
    except UnrenderError as error:
        if isinstance(error, Cancelled) or interruption.is_behind(error):
            return _stopped()
        streams.complain(error, words_for(options.parser))
        return FAILED
    except KeyboardInterrupt:
        return _stopped()
    except Exception as error:
        if interruption.is_behind(error):
            return _stopped()
        if isinstance(error, OSError) and streams.reader_left(error):
            return streams.abandon_output()
        if isinstance(error, OSError) and error.errno == ENAMETOOLONG:
            streams.complain(_too_long(error), words_for(options.parser))
            return BAD_USAGE
        raise


def _too_long(error: OSError) -> SettingsError:
    from ..core.foreign import shown

    return SettingsError(f"{shown(str(error.filename))} is too long to be a file's name", "check the path")


def _keep_few_primitives() -> None:
    """oneDNN, which multiplies half-precision matrices on CPUs, keeps megabytes for each shape it has met, 1,024 of
    them unless told otherwise; a search meets new shapes all the time and comes back to few."""
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")


def _stopped() -> int:
    streams.complain("stopped.")
    return STOPPED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=streams.command_name(),
        description="Turns a picture back into the prompt that would have rendered it.",
        epilog=f"`{streams.command_name()} COMMAND --help` explains a command. A picture without a command is "
        "interrogated, a folder goes to batch.",
    )
    parser.add_argument("--version", action="version", version=f"unrender {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    describing = (interrogate, batch, analyze, match, locate, embed, vary, animate, optimise, metadata)
    for command in (*describing, tune, index, search, curate, models, verify, serve, ui, demo, doctor):
        command.add_parser(commands)
    return parser


def _commands(parser: argparse.ArgumentParser) -> Collection[str]:
    """Their names."""
    return next(action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction))


if __name__ == "__main__":
    sys.exit(main())
