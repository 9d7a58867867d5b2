"""Which servers may be named by who did not start the program: by a workflow that came from elsewhere, or a visitor.

Otherwise any page or picture that brings a workflow along could have this program send requests, and pictures, to
whatever it can reach."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from .address import Address

NAMED = "UNRENDER_ENDPOINTS"
"""The variable that lists further addresses, between commas."""


def allowed(address: str, named: Iterable[str], here: bool = True) -> bool:
    """Whether a server may be asked that somebody else has named: one of those named by who started the program, by
    scheme, host, port and path, with any of its models; and any on this computer, if `here`.

    address: with or without #MODEL. named: the same. Raises ModelError for what is no address."""
    asked = Address.of(address)
    return (here and asked.is_here) or any(Address.of(known).base == asked.base for known in named)


def named_endpoints(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """What UNRENDER_ENDPOINTS lists."""
    listed = (os.environ if environment is None else environment).get(NAMED, "")
    return tuple(filter(None, map(str.strip, listed.split(","))))
