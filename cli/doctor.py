"""`unrender doctor`: what is installed and what works, in one paste."""

from __future__ import annotations

import argparse
from pathlib import Path

from .streams import quiet_libraries, write_line


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "doctor",
        help="say what is installed and what works, for a report",
        description="Versions, devices with what they were tried at, memory, the models' folder, whether the hub "
        "answers, hosts, and optional packages. Paste all of it into a report: it holds no passwords, and no name of "
        "your home folder.",
    )
    parser.add_argument("--cache", metavar="DIR", type=Path, help="where downloads are kept")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Each part is written as soon as it is known."""
    quiet_libraries()
    from .. import __version__
    from ..core.machine import sections

    for title, rows in sections(__version__, options.cache):
        write_line(title)
        width = max(len(name) for name, _ in rows) if rows else 0
        for name, value in rows:
            write_line(f"  {name.ljust(width)}  {value}")
        if not rows:
            write_line("  nothing of note")
    return 0
