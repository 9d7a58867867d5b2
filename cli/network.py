"""Where a command that serves listens, and who may use it."""

from __future__ import annotations

import argparse
import os
from typing import NamedTuple

from ..core.errors import SettingsError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
TOKEN = "UNRENDER_TOKEN"
WHO_MAY_USE_IT = f"""\
who may use it
  this machine alone, unless --host says otherwise, for instance 0.0.0.0; then with a token: --token, or better
  {TOKEN} in the environment, where other users of the machine do not see it"""


class Address(NamedTuple):
    """token: None where everyone who reaches the address may use it, which is this machine alone."""

    host: str
    port: int
    token: str | None


def add_to(parser: argparse.ArgumentParser, port: int, token: str) -> None:
    """port: the usual one. token: what the help says of it."""
    group = parser.add_argument_group("network")
    group.add_argument("--host", default=LOOPBACK[0], metavar="ADDRESS", help="where to listen (default: %(default)s)")
    group.add_argument("--port", type=int, default=port, metavar="N", help="default: %(default)s")
    group.add_argument("--token", metavar="TEXT", help=token)


def address_from(options: argparse.Namespace) -> Address:
    """Raises SettingsError for a port there is not, and where anyone on the network would get in."""
    token = options.token or os.environ.get(TOKEN)
    if options.host not in LOOPBACK and not token:
        raise SettingsError(f"On {options.host} anyone could use this machine", f"give --token, or {TOKEN}")
    if not 0 < options.port < 2**16:
        raise SettingsError(f"--port is {options.port}", "give a number from 1 to 65535")
    return Address(options.host, options.port, token)
