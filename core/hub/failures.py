"""What goes wrong between here and a hub, in words."""

from __future__ import annotations

import re


class Unreachable(Exception):
    """Why the hub did not deliver, in words that fit after a colon; status is its HTTP answer, if it gave one."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def is_network(error: BaseException) -> bool:
    """Whether an error comes from the network or the disk, not from this program."""
    packages = {base.__module__.partition(".")[0] for base in type(error).__mro__}
    known = {"requests", "urllib3", "httpx", "httpx2", "httpcore", "httpcore2", "huggingface_hub"}
    return isinstance(error, OSError) or not packages.isdisjoint(known)


def status_of(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def reason_of(error: BaseException) -> str:
    status = status_of(error)
    if status is not None:
        return f"the hub answered {status}"
    text = " ".join(re.sub(r"https?://\S+", "", str(error)).split())
    for pattern, words in _REASONS:
        if re.search(pattern, text, re.IGNORECASE):
            return words
    if "timeout" in type(error).__name__.lower():
        return "it did not answer in time"
    return (text[:160] or type(error).__name__).rstrip(".")


_REASONS = (
    (r"refused|WinError 10061", "the connection was refused"),
    (
        r"getaddrinfo|resolve|name or service|nodename|name resolution",
        "the name of the host could not be resolved",
    ),
    (r"peer closed|incomplete|aborted|reset by peer|broken|disconnected", "the connection broke"),
    (r"certificate|SSL", "no secure connection could be made"),
    (r"proxy", "the proxy did not let it through"),
    (r"unreachable|no route", "there is no network"),
    (r"timed? ?out", "it did not answer in time"),
    (r"offline", "huggingface_hub was started in offline mode"),
    (r"no space", "the disk is full"),
)
