"""Where a server is, and which of its models is asked: what a captioner's name says that begins with http."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from ...cures import Give
from ...errors import ModelError
from ...foreign import shown
from ...hub.http import origin
from ...hub.proxies import is_loopback

FORM = "one such as http://127.0.0.1:11434/v1#MODEL"
_SCHEMES = ("http://", "https://")
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]+", re.IGNORECASE)
_LONGEST = 1000
_LONGEST_MODEL = 300
_CHAT = "/chat/completions"


@dataclass(frozen=True)
class Address:
    """base: without a slash at its end; it holds no key. model: "" for the only one that the server lists."""

    base: str
    model: str = ""

    @classmethod
    def of(cls, name: str) -> Address:
        """From ADDRESS or ADDRESS#MODEL. Raises ModelError, which never shows what might be a key."""
        address, _, model = name.strip().partition("#")
        return cls(_base(address.strip()), _model(model.strip()))

    @property
    def host(self) -> str:
        return urlsplit(self.base).hostname or ""

    @property
    def is_here(self) -> bool:
        """Whether it is this computer, by its name alone."""
        return is_loopback(self.host)

    @property
    def is_private(self) -> bool:
        """Whether nobody on the way can read what is sent."""
        return self.is_here or self.base.startswith("https:")

    def is_at(self, other: Address) -> bool:
        """Whether both are one server: the same scheme, host and port."""
        return origin(self.base) == origin(other.base)


def claims(name: str) -> bool:
    return name.strip().casefold().startswith(_SCHEMES)


def _base(text: str) -> str:
    parts = _parts(text)
    host = parts.hostname or ""
    if not _HOST.fullmatch(host):
        raise _refused("names no host")
    if parts.path.rstrip("/").endswith(_CHAT):
        raise _refused(f"ends with {_CHAT}, which is added by itself", "leave that out")
    # the parser has lowered the host's letters, and takes the brackets of an IPv6 address off
    place = f"[{host}]" if ":" in host else host
    port = "" if parts.port is None else f":{parts.port}"
    return f"{parts.scheme.lower()}://{place}{port}{parts.path.rstrip('/')}"


def _parts(text: str) -> SplitResult:
    if len(text) > _LONGEST or not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise _refused("holds signs that no address has, or too many")
    if not text.casefold().startswith(_SCHEMES):
        raise _refused("begins with neither http:// nor https://")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _refused("is none") from None
    if "@" in parts.netloc:
        raise _refused("holds a user's name or a key", "set UNRENDER_ENDPOINT_KEY to the key, which is written nowhere")
    if "?" in text:
        raise _refused('has a "?" with more behind it', "leave that out; a key is given by UNRENDER_ENDPOINT_KEY")
    if port == 0:
        raise _refused("names port 0, where no server is")
    return parts


def _model(text: str) -> str:
    if len(text) > _LONGEST_MODEL or not text.isprintable():
        raise ModelError(f"No server has a model of the name {shown(text)!r}", Give("captioner", FORM))
    return text


def _refused(problem: str, cure: str = "") -> ModelError:
    return ModelError(f"The address of the server {problem}", cure or Give("captioner", FORM))
