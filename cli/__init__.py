"""The command line: `unrender interrogate`, `unrender models`, `unrender demo`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import __version__
from ..core.errors import Cancelled, SettingsError, UnrenderError
from . import demo, interrogate, models, streams

FAILED, BAD_USAGE, STOPPED = 1, 2, 130  # as other programs have it; argparse takes 2 as well


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns the exit status: 0, 1 after a failure, 2 for bad usage, 130 after Ctrl-C."""
    streams.prepare()
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except SettingsError as error:
        streams.complain(error)
        return BAD_USAGE
    except (KeyboardInterrupt, Cancelled):
        streams.complain("stopped.")
        return STOPPED
    except OSError as error:
        if not streams.reader_left(error):
            raise
        return streams.abandon_output()
    except UnrenderError as error:
        streams.complain(error)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=streams.command_name(),
        description="Turns a picture back into the prompt that would have rendered it.",
        epilog=f"`{streams.command_name()} COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"unrender {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (interrogate, models, demo):
        command.add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
