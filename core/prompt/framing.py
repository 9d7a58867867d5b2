"""The words that a user has around every prompt."""

from __future__ import annotations

from ..settings import Settings


def framed(prompt: str, settings: Settings) -> str:
    """The prompt with trigger word and prefix before it and suffix behind it."""
    parts = (settings.trigger, settings.prefix, prompt, settings.suffix)
    return ", ".join(part for part in (text.strip(" ,") for text in parts) if part)
