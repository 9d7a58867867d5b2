"""Which search suits a CLIP and a captioner, as `unrender verify` found by rendering from its prompts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ..recommendation import keep, kept
from ..settings import SEARCHES, Search, Settings


def recommend_search(folder: Path, settings: Settings, search: Search) -> None:
    """Keeps it for the CLIP and the captioners of the settings. Raises SettingsError where the folder cannot be
    written."""
    keep(folder, _name(settings), search)


def usual_search(folder: Path, settings: Settings) -> Search:
    """What the settings name, else what was found for their models, else what was measured best."""
    if settings.search is not None or settings.peer_defects:
        return settings.searched
    return kept(folder, _name(settings), SEARCHES) or settings.searched


def _name(settings: Settings) -> str:
    """Of what a search's prompts depend on; known before any model is loaded, for a run that goes on."""
    described = [settings.clip, settings.captioner, *settings.rivals]
    return f"search-{hashlib.sha256(json.dumps(described).encode()).hexdigest()}"
