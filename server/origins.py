"""By which names a server may be asked, and whether a request comes from a page of its own."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

_AUTHORITY = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+?)\.?(?::(?P<port>\d{1,5}))?")
_ORIGIN = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#@\\\s]+)")
_USUAL_PORTS = {"http": 80, "https": 443}
_OF_ONES_OWN = ("same-origin", "none")
"""What Sec-Fetch-Site says of requests by a server's own pages, and of those a person made."""


class Authority(NamedTuple):
    """name: in small letters, without the brackets of an address. port: None where none is said."""

    name: str
    port: int | None

    @classmethod
    def of(cls, text: str) -> Authority | None:
        found = _AUTHORITY.fullmatch(text)
        if found is None:
            return None
        return cls(found["name"].strip("[]").lower(), int(found["port"]) if found["port"] else None)


class Origin(NamedTuple):
    """A page's: whence it was loaded. The port is its scheme's where none is said."""

    name: str
    port: int

    @classmethod
    def of(cls, text: str) -> Origin | None:
        """None for what is no page of a server: "null", of a file, of a browser's extension."""
        found = _ORIGIN.fullmatch(text)
        where = Authority.of(found["authority"]) if found else None
        return cls(where.name, where.port or _USUAL_PORTS[found["scheme"]]) if found and where else None


@dataclass(frozen=True)
class Names:
    """What a server is called. A page elsewhere can have its own name lead to this machine (DNS rebinding), but then
    that name is in each request of its.

    bound: the address that is listened on. given: names besides, such as a reverse proxy's, each perhaps with a port.
    """

    bound: str
    given: tuple[Authority, ...] = field(default=())

    def has(self, host: str) -> bool:
        """Whether a request's Host is one of them, whatever its port. Where all addresses are listened on any address
        in numbers is one: no name leads there."""
        where = Authority.of(host)
        if where is None:
            return False
        if is_loopback(where.name) or _same_name(where.name, self.bound):
            return True
        if _address(where.name) is not None and listens_everywhere(self.bound):
            return True
        return any(where.name == name.name for name in self.given)

    def own(self, origin: str, host: str) -> bool:
        """Whether a page of that origin is this server's: loaded from where its request goes, or from a given name,
        since a proxy may ask by another. A given name without a port is that of the schemes' usual ports."""
        return same_place(origin, host) or any(_is_at(origin, name) for name in self.given)


def same_place(origin: str, host: str) -> bool:
    """Whether a page was loaded from the name and port that its request goes to, by whatever scheme."""
    where = Authority.of(host)
    return where is not None and _is_at(origin, where)


def is_from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that another server's page asks. Programs say nothing of the kind."""
    origin = headers.get("origin")
    if origin is not None and not same_place(origin, headers.get("host", "")):
        return True
    return headers.get("sec-fetch-site", "none").strip().lower() not in _OF_ONES_OWN


def is_loopback(name: str) -> bool:
    address = _address(name)
    return name == "localhost" if address is None else address.is_loopback


def listens_everywhere(bound: str) -> bool:
    address = _address(bound)
    return bound == "" or (address is not None and address.is_unspecified)


def _is_at(origin: str, where: Authority) -> bool:
    page = Origin.of(origin)
    ports = _USUAL_PORTS.values() if where.port is None else (where.port,)
    return page is not None and page.name == where.name and page.port in ports


def _same_name(one: str, other: str) -> bool:
    first, second = _address(one), _address(other.strip("[]"))
    return one == other.lower() if first is None or second is None else first == second


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
