"""Which proxy stands between here and a hub, for the sentences that name it."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass


@dataclass(frozen=True)
class Proxy:
    """address: without user and password. variable: what names it, "" for this computer's settings."""

    address: str
    variable: str

    def __str__(self) -> str:
        return f"the proxy {self.address} ({self.variable or 'of this computer'})"


def proxy_of(url: str) -> Proxy | None:
    """The proxy that a request for this address goes through, by the environment and the computer's settings."""
    parts = urlsplit(url)
    if proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    proxies = getproxies()
    for scheme in (parts.scheme, "all"):
        if proxies.get(scheme):
            variable = f"{scheme}_proxy"
            known = [name for name in (variable, variable.upper()) if os.environ.get(name)]
            return Proxy(_without_login(proxies[scheme]), known[0] if known else "")
    return None


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_login(address: str) -> str:
    scheme, mark, rest = address.rpartition("://")
    return scheme + mark + rest.rpartition("@")[2].rstrip("/")
