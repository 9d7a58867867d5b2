"""Phrases as people type them."""

from __future__ import annotations

import re

_PHRASE = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*(?=,|$)|([^,]*))(?:,|$)')


def phrases_in(text: str) -> list[str]:
    """Of a text box: one a line, or between commas; a phrase that has commas itself stands in quotation marks, those
    within it doubled."""
    found = (_unquoted(match) for line in text.splitlines() for match in _PHRASE.finditer(line))
    return [phrase for phrase in found if phrase]


def _unquoted(match: re.Match[str]) -> str:
    quoted, plain = match.groups()
    return (plain if quoted is None else quoted.replace('""', '"')).strip()
