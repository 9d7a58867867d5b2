"""File names that every operating system takes."""

from __future__ import annotations

import re
import unicodedata

from .printable import printable

NAME_BYTES = 143
"""Of a whole file name in UTF-8: what encrypted home folders (eCryptfs) leave of the usual 255."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*\u0000-\u001f\u007f\ufeff\u200b]')
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}
    | {f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"}
)
_LEAST_KEPT = 0.5
_QUOTES = ('""', "''", "\u201c\u201d", "\u201e\u201c", "\u00ab\u00bb")


def is_safe_stem(text: str, most_bytes: int) -> bool:
    """Whether a file name may begin with it as it is, before the suffix."""
    return (
        0 < len(text.encode(errors="surrogatepass")) <= most_bytes
        and text == printable(text).strip(" .")
        and not _FORBIDDEN.search(text)
        and not _is_device(text)
    )


def safe_stem(text: str, most_bytes: int) -> str:
    """A file name's part before the suffix, of no more bytes than that in UTF-8: letters of all scripts stay, what
    Windows, macOS or Linux refuse, or would not show as it is, goes. Never empty."""
    text = _FORBIDDEN.sub(" ", unicodedata.normalize("NFC", printable(text)))
    text = " ".join(text.split()).strip(" .,~-")
    text = _shortened(text, most_bytes - 1).strip(" .,~-")
    if not text:
        return "untitled"
    return f"_{text}" if _is_device(text) else text


def pasted(text: str) -> str:
    """A path or name as a person means it: without the blanks around it, and the quotation marks in which file managers
    and terminals copy a path."""
    text = text.strip()
    quoted = len(text) > 2 and text[0] + text[-1] in _QUOTES
    return text[1:-1].strip() if quoted else text


def has_ending(name: str, ending: str) -> bool:
    """ending: in small letters. A file's may be in any."""
    return name.casefold().endswith(ending)


def same_name(name: str) -> str:
    """Equal for names that some file system takes for one: letter case, and ways to compose a letter."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _is_device(stem: str) -> bool:
    """Of Windows, which takes it for one whatever follows a dot."""
    return stem.split(".")[0].strip().casefold() in _DEVICES


def _shortened(text: str, most_bytes: int) -> str:
    """Cut before a comma if that keeps most of it, else between words, else between letters."""
    if len(text.encode()) <= most_bytes:
        return text
    cut = text.encode()[:most_bytes].decode(errors="ignore")
    while cut and unicodedata.combining(text[len(cut)]):  # a letter goes with its marks
        cut = cut[:-1]
    for separator in (",", " "):
        place = cut.rfind(separator)
        if place >= len(cut) * _LEAST_KEPT:
            return cut[:place]
    return cut
