"""The key that a server wants: from the environment alone, and for nobody but whom it is meant for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ...errors import ModelError, UnrenderError
from .address import Address, claims

KEY = "UNRENDER_ENDPOINT_KEY"
_OPENAI_KEY = "OPENAI_API_KEY"
_OPENAI = Address("https://api.openai.com")
_TELLING = 6
"""Signs of a key that, shown in a row, would be too many."""


@dataclass(frozen=True)
class Key:
    """text: "" for none; in no representation. why_none: why one that is set is not sent, and what would help."""

    text: str = field(default="", repr=False)
    why_none: str = ""

    def is_in(self, text: str) -> bool:
        """Whether a part of it is in a text, such as a server's that repeats what it was sent."""
        key, text = self.text.casefold(), text.casefold()
        starts = range(max(1, len(key) - _TELLING + 1))
        return bool(key) and any(key[start : start + _TELLING] in text for start in starts)

    def is_told_by(self, text: str) -> bool:
        """Whether all of it is in a text."""
        return len(self.text) > _TELLING and self.text.casefold() in text.casefold()


def key_for(address: Address, environment: Mapping[str, str] | None = None) -> Key:
    """UNRENDER_ENDPOINT_KEY is "KEY" or "ADDRESS KEY". With an address it goes to that server alone; without one to any
    that was named, but neither over a connection that others can read nor to this computer, where any program may
    listen, and where a workflow may name a server that nobody has looked at. OPENAI_API_KEY goes to api.openai.com.

    Raises ModelError for a key that is none, or that was meant for a connection that others can read."""
    environment = os.environ if environment is None else environment
    first, _, second = environment.get(KEY, "").strip().partition(" ")
    if second or claims(first):
        if _named(first).is_at(address):
            if not address.is_private:
                raise ModelError(
                    f"The key would be sent to {address.base} so that anyone on the way can read it",
                    "give an address that begins with https",
                    "make a tunnel to it, such as `ssh -L`, and name its end on this computer",
                )
            return Key(_checked(KEY, second.strip()))
    elif first and address.is_private and not address.is_here:
        return Key(_checked(KEY, first))
    if address.is_at(_OPENAI) and environment.get(_OPENAI_KEY, "").strip():
        return Key(_checked(_OPENAI_KEY, environment[_OPENAI_KEY].strip()))
    if not first or second:
        return Key()
    return Key(why_none=f'set {KEY} to "{address.base} KEY", as one without an address is only sent elsewhere by https')


def _named(text: str) -> Address:
    try:
        return Address.of(text)
    except UnrenderError as error:
        raise ModelError(f"{KEY} holds two words, the first of which is no address of a server", *error.cures) from None


def _checked(variable: str, key: str) -> str:
    if not re.fullmatch("[!-~]+", key):  # the libraries' errors would show it
        raise ModelError(f"{variable} holds signs that no key has", "set it to a valid one")
    return key
