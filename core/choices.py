"""What the doors offer to choose from where a list is shown; any other name can be given, too."""

from __future__ import annotations

from . import published

NONE = "none"
"""In a list of captioners: no caption."""

BUILT_IN = "built-in"

CLIPS = (*(each.name for each in published.CLIPS), "micro")
"""CLIPs that need no package beyond what a host has."""

VOCABULARIES = {BUILT_IN: None, "extended": "extended", "clip-interrogator": "peer", "clip-gaze": "clip-gaze"}
"""The vocabularies that are no folders, as Settings calls them."""
