"""Phrases as people type them."""

from __future__ import annotations


def phrases_in(text: str) -> list[str]:
    """Of a text box: one a line, or between commas."""
    return [phrase.strip() for line in text.splitlines() for phrase in line.split(",") if phrase.strip()]
