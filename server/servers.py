"""Which servers a visitor may have asked for descriptions: those that were named by who started the program.

Otherwise whoever reaches the page could have this computer send requests, and pictures, to what it alone can reach."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.describe.endpoint.address import claims
from ..core.describe.endpoint.allowed import NAMED, allowed, named_endpoints
from ..core.errors import SettingsError
from ..core.settings import Settings


def check_servers(asked: Settings, usual: Settings) -> None:
    """Whether a visitor may choose those describers. Raises SettingsError, and ModelError for what is no address."""
    for name in _servers(asked):
        if not is_named(name, usual):
            raise SettingsError(
                "The server was not named by who started this program",
                f"start it with that address as its captioner, or in {NAMED}",
            )


def is_named(name: str, usual: Settings) -> bool:
    """Whether it is a model of one of those servers. Raises ModelError for what is no address."""
    return allowed(name, [*_servers(usual), *named_endpoints()], here=False)


def _servers(settings: Settings) -> Iterator[str]:
    for name in (settings.captioner, settings.tagger, *settings.rivals):
        if name is not None and claims(name):
            yield name
