"""The options of commands that listen for requests, and who may send some."""

from __future__ import annotations

import argparse
import os
from typing import NamedTuple

from ..core.errors import SettingsError
from ..server.origins import Authority, Names, is_loopback

USUAL_HOST = "127.0.0.1"
TOKEN = "UNRENDER_TOKEN"
WHO_MAY_USE_IT = f"""\
who may use it
  this machine alone, unless --host says otherwise, for instance 0.0.0.0; then with a token: --token, or better
  {TOKEN} in the environment, where other users of the machine do not see it. Requests by any name but localhost,
  the address listened on, and those of --allowed-host are refused, and so are those of other sites' pages"""


class Address(NamedTuple):
    """token: None where everyone who reaches the address may use it, which is this machine alone. given: the names of
    --allowed-host."""

    host: str
    port: int
    token: str | None
    given: tuple[Authority, ...]

    @property
    def names(self) -> Names:
        return Names(self.host, self.given)

    @property
    def for_strangers(self) -> bool:
        """Whether others than this machine are to reach it, directly or through a proxy."""
        return not all(map(is_loopback, (self.host, *(name.name for name in self.given))))


def add_to(parser: argparse.ArgumentParser, port: int, token: str) -> None:
    """port: the usual one. token: what the help says of it."""
    group = parser.add_argument_group("network")
    group.add_argument("--host", default=USUAL_HOST, metavar="ADDRESS", help="where to listen (default: %(default)s)")
    group.add_argument("--port", type=int, default=port, metavar="N", help="default: %(default)s")
    group.add_argument("--token", metavar="TEXT", help=token)
    group.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        type=_name,
        metavar="NAME",
        help="another name it is asked by, such as a reverse proxy's; NAME:PORT where people see a port other than "
        "80 or 443 (may be repeated)",
    )


def address_from(options: argparse.Namespace) -> Address:
    """Raises SettingsError for a port there is not, and where anyone on the network would get in."""
    token = options.token or os.environ.get(TOKEN)
    if not is_loopback(options.host) and not token:
        raise SettingsError(f"On {options.host} anyone could use this machine", f"give --token, or {TOKEN}")
    if not 0 < options.port < 2**16:
        raise SettingsError(f"--port is {options.port}", "give a number from 1 to 65535")
    return Address(options.host, options.port, token, tuple(options.allowed_host))


def _name(text: str) -> Authority:
    found = Authority.of(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no name such as unrender.example.org, or with a port behind it")
    return found
