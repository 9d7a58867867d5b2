"""Why a phrase was left out, in words."""

from __future__ import annotations

from collections.abc import Callable

from .results import Reason, Rejected

_WORDS: dict[Reason, str] = {
    "unlikely": "not likely enough",
    "no gain": "brings the prompt no nearer than phrases at random do",
    "contradicts": "contradicts {against}",
    "repeats": "is said already by {against}",
    "no room": "the prompt had no room for it",
    "corrected": "changed in the caption to {against}",
}


def in_quotation_marks(phrase: str) -> str:
    return f'"{phrase}"'


def why(rejected: Rejected, quoted: Callable[[str], str] = in_quotation_marks) -> str:
    """quoted: a phrase among words. One whose words are all in the prompt repeats itself, by name."""
    if rejected.reason == "repeats" and rejected.against in ("", rejected.text):
        return "is said already"
    return _WORDS[rejected.reason].format(against=quoted(rejected.against))
