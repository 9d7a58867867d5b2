"""A server's answer as the words of a prompt."""

from __future__ import annotations

import re
import unicodedata

from ..printable import printable
from ..settings import Style

_THOUGHTS = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_BEFORE = re.compile(r"\A.*</think(?:ing)?>", re.DOTALL)
"""Where the template has begun the thoughts, the answer holds their end alone."""
_SENTENCES = re.compile(r".*[.!?…。！？][\"'”’)\]]*(?=\s|\Z)", re.DOTALL)
_LISTS: tuple[Style, ...] = ("tags", "keywords", "words")


def cleaned(text: str, cut: bool, style: Style | None) -> str:
    """One line, without thoughts. cut: whether it was ended by its length; then it ends before what was cut."""
    text = _BEFORE.sub("", _THOUGHTS.sub("", text))
    text = " ".join(printable(text).split())
    if all(unicodedata.category(letter) in ("Cf", "Zs") for letter in text):
        return ""  # nothing that could be seen
    return _finished(text, style in _LISTS) if cut else text


def _finished(text: str, is_list: bool) -> str:
    if is_list and "," in text:
        return text.rpartition(",")[0].rstrip()
    whole = None if is_list else _SENTENCES.match(text)
    if whole:
        return whole[0]
    return text.rpartition(" ")[0].rstrip(" ,;:-") or text
