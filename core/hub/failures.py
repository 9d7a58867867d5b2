"""What goes wrong between here and a hub, in words."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from ..cures import Cure, Install
from .proxies import Proxy, is_loopback, proxy_of

CHECK_NAME = "check the name"
_ASK_FOR_ACCESS = "for a private or gated model ask for access on its page and set HF_TOKEN"
_GATED = {
    401: "the model is gated, for those alone who have asked for access and log in",
    403: "the model is gated, and whose token this is has no access to it",
}
_NEW_TOKEN = "set HF_TOKEN to a valid token, or for a public model to none and run `hf auth logout`"
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529})
_LONGEST_MESSAGE = 160


class Unreachable(Exception):
    """Why the hub did not deliver, in words that fit after a colon.

    cures: what helps, the likeliest first. status: its HTTP answer, if it gave one. told_wait: the seconds it asks to
    wait for. passes: whether it may well be otherwise in a moment; may_pass: only where it had been otherwise before.
    said: in the other's own words, not to be shown as they are. of_picture: whether it is a picture's doing, so that
    others may be described: True, or False for what may be.
    """

    def __init__(
        self,
        reason: str,
        *cures: Cure,
        status: int | None = None,
        told_wait: float | None = None,
        passes: bool = False,
        may_pass: bool = False,
        said: str = "",
        of_picture: bool | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.cures = cures
        self.status = status
        self.told_wait = told_wait
        self.passes = passes
        self.may_pass = may_pass
        self.said = said
        self.of_picture = of_picture


def broken(reason: str = "the connection broke") -> Unreachable:
    return Unreachable(reason, passes=True)


def is_network(error: BaseException) -> bool:
    """Whether an error comes from the network or what speaks to it, not from this program."""
    packages = {base.__module__.partition(".")[0] for base in type(error).__mro__}
    known = {"requests", "urllib3", "httpx", "httpx2", "httpcore", "httpcore2", "huggingface_hub"}
    return isinstance(error, OSError) or not packages.isdisjoint(known)


# --- answers ---


def of_answer(status: int, headers: Mapping[str, str], url: str, asked: str, told_wait: float | None) -> Unreachable:
    """What an answer of 400 and more says. asked: the hub's address that led there; headers: the answer's."""
    host = urlsplit(url).hostname or ""
    proxy = proxy_of(url)
    if status == 407:
        return _refused_by(proxy, "407 Proxy Authentication Required")
    cures: list[Cure] = [f"add {host} to NO_PROXY"] if proxy and is_loopback(host) else []
    if urlsplit(url).netloc != urlsplit(asked).netloc:
        reason = f"{host}, where its files lie, answered {status}"
        return Unreachable(reason, *cures, status=status, told_wait=told_wait, passes=status in {*_PASSING, 401, 403})
    if status in _PASSING:
        return Unreachable(f"the hub answered {status}", *cures, status=status, told_wait=told_wait, passes=True)
    page = re.sub("/(resolve|revision)/.*", "", asked).replace("/api/models/", "/", 1)
    reason, more = _refusal(status, headers, page)
    return Unreachable(reason, *cures, *more, status=status)


def _refusal(status: int, headers: Mapping[str, str], page: str) -> tuple[str, tuple[Cure, ...]]:
    code, message = headers.get("X-Error-Code") or "", _plain(headers.get("X-Error-Message") or "")
    reason = f"the hub answered {status}"
    if "credentials in authorization" in message.lower():
        return f"{reason}: it does not know the token", (_NEW_TOKEN,)
    if code == "GatedRepo":
        return f"{reason}: {_GATED.get(status, 'the model is gated')}", (f"ask for access on {page} and set HF_TOKEN",)
    if code == "RevisionNotFound":
        return f"{reason}: it has no such revision", ("check the revision",)
    if code == "EntryNotFound":
        return f"{reason}: it has no such file", (CHECK_NAME,)
    if "is disabled" in message:
        return f"{reason}: access to the model is disabled", ("choose another model",)
    if status == 404:
        return reason, (CHECK_NAME,)
    known = not message or "Repository not found" in message or "username or password" in message
    more = (CHECK_NAME, _ASK_FOR_ACCESS) if status in (401, 403) else ()
    return reason if known else f"{reason}: {message}", more


def in_words(seconds: float) -> str:
    if seconds <= 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds <= 7200 else f"{seconds / 3600:.0f} hours"


# --- errors ---


def of_error(error: BaseException, url: str, uses_requests: bool, proxied: bool = True) -> Unreachable:
    """What an error of the network, or of the package that speaks to it, says. uses_requests: or else httpx. proxied:
    whether the environment's proxies were asked."""
    text, kinds = _plain(str(error)), {base.__name__ for base in type(error).__mro__}
    proxy = proxy_of(url) if proxied else None
    special = _of_settings(text, kinds, proxy, uses_requests) or _of_certificate(text, url, uses_requests)
    if special:
        return special
    words, passes = _reason(text, error, kinds)
    if not proxy or passes:
        return Unreachable(words, passes=passes, may_pass=True)
    cures: list[Cure] = ["check that it runs"] if proxy.variable == "" else [f"check or unset {proxy.variable}"]
    host = urlsplit(url).hostname or ""
    if is_loopback(host):
        cures.insert(0, f"add {host} to NO_PROXY")
    return Unreachable(f"{words}, on the way through {proxy}", *cures, may_pass=True)


def _reason(text: str, error: BaseException, kinds: set[str]) -> tuple[str, bool]:
    """What is said, and whether it may well be otherwise in a moment."""
    for pattern, words, passes in _REASONS:
        if re.search(pattern, text, re.IGNORECASE):
            return words, passes
    if "timeout" in type(error).__name__.lower():
        return _SLOW, False
    passes = not kinds.isdisjoint({"NetworkError", "ProtocolError", "ConnectionError", "ChunkedEncodingError"})
    return (text[:_LONGEST_MESSAGE] or type(error).__name__).rstrip("."), passes


def _of_settings(text: str, kinds: set[str], proxy: Proxy | None, uses_requests: bool) -> Unreachable | None:
    if "SOCKS" in text and ("dependenc" in text or "not installed" in text):
        package = "pysocks" if uses_requests else "socksio"
        return Unreachable(f"{proxy or 'the proxy'} speaks SOCKS, which needs {package}", Install((package,)))
    answered = re.search(r"(?:^|failed: )([45]\d\d\b ?[A-Za-z ]*)", text)
    if answered and ("ProxyError" in kinds or "Tunnel" in text):
        return _refused_by(proxy, answered.group(1).strip())
    if kinds & {"InvalidProxyURL", "InvalidURL"} or "scheme for proxy" in text or "proxy URL" in text:
        names = proxy.variable if proxy and proxy.variable else "HTTPS_PROXY"
        cure = f"check {names} and NO_PROXY, and write special letters of a password as %23 and the like"
        return Unreachable("the address of a proxy makes no sense", cure)  # its text may hold the password
    if "offline" in text.lower():
        return Unreachable("huggingface_hub was started in offline mode", "start without HF_HUB_OFFLINE")
    return None


def _refused_by(proxy: Proxy | None, answer: str) -> Unreachable:
    named = str(proxy) if proxy else "a proxy"
    if answer.startswith("407"):
        variable = proxy.variable if proxy and proxy.variable else "HTTPS_PROXY"
        cure = f"write them into {variable} as http://USER:PASSWORD@HOST:PORT, special letters as %40 and the like"
        return Unreachable(f"{named} answered {answer}: it wants a user and a password", cure, status=407)
    return Unreachable(f"{named} answered {answer}", "ask who runs it", may_pass=True)


def _of_certificate(text: str, url: str, uses_requests: bool) -> Unreachable | None:
    variable = next(filter(os.environ.get, _BUNDLES[uses_requests]), "")
    if "CA certificate bundle" in text or ("No such file" in text and variable):
        return Unreachable(
            f"{variable or 'a variable'} names certificates that are not there, {os.environ.get(variable, '')}",
            f"correct or unset {variable or _BUNDLES[uses_requests][0]}",
        )
    if not re.search("certificate.?verify.?failed|certificate verif", text, re.IGNORECASE):
        return None
    host = urlsplit(url).hostname
    if "expired" in text or "not yet valid" in text:
        return Unreachable(f"the certificate of {host} is not valid today", "check this computer's clock")
    return Unreachable(
        f"nobody whom Python trusts has signed the certificate of {host}, as where a company or a virus scanner reads "
        "what is sent",
        f"set {_BUNDLES[uses_requests][0]} to a file with their certificate",
    )


_BUNDLES = {True: ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"), False: ("SSL_CERT_FILE", "SSL_CERT_DIR")}
"""Which variables name the certificates that requests, and httpx, believe in."""
_SLOW = "it did not answer in time"
_REASONS = (
    (r"refused|WinError 10061|\[Errno (61|111)\]", "the connection was refused", False),
    (
        r"getaddrinfo|resolve|name or service|nodename|name resolution",
        "the name of the host could not be resolved",
        False,
    ),
    (r"timed? ?out", _SLOW, False),
    (r"unreachable|no route", "there is no network", False),
    (r"peer closed|incomplete|aborted|reset by peer|broken|disconnected|EOF occurred", "the connection broke", True),
    (r"certificate|SSL", "no secure connection could be made", True),
    (r"proxy", "the proxy did not let it through", False),
)
"""What is looked for in an error's text, what is said then, and whether it may well be otherwise in a moment."""


def _plain(text: str) -> str:
    """One line without addresses, which may be signed."""
    return " ".join(re.sub(r"\w+://\S+", "", text).split())[: 4 * _LONGEST_MESSAGE]
