"""A page asks itself directly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_EVERYTHING = "*"


@contextmanager
def without_proxies() -> Iterator[None]:
    """For libraries that ask this computer whether it answers, through whatever proxy the environment names: one that
    is dead, or refuses localhost, or speaks SOCKS without the package for that, would end what needs none."""
    before = {name: os.environ.get(name) for name in ("NO_PROXY", "no_proxy")}
    os.environ.update(dict.fromkeys(before, _EVERYTHING))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
