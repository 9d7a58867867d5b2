"""Which search suits a CLIP and a captioner, as `unrender verify` found by rendering from its prompts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ..recommendation import keep, kept
from ..settings import SEARCHES, Search, Settings


def search_key(clip: str, settings: Settings) -> str:
    """Of what a search's prompts depend on. clip: its fingerprint."""
    described = [settings.captioner, *settings.rivals]
    return hashlib.sha256(json.dumps([clip, described]).encode()).hexdigest()


def recommend_search(folder: Path, key: str, search: Search) -> None:
    """Keeps it. Raises SettingsError where the folder cannot be written."""
    keep(folder, f"search-{key}", search)


def recommended_search(folder: Path, key: str) -> Search | None:
    """What was found, None where nothing was."""
    return kept(folder, f"search-{key}", SEARCHES)
