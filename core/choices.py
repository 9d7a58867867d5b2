"""What the doors offer to choose from where a list is shown; any other name can be given, too."""

from __future__ import annotations

NONE = "none"
"""In a list of captioners: no caption."""

BUILT_IN = "built-in"

CLIPS = (
    "ViT-L-14/openai",
    "ViT-L-14-336/openai",
    "ViT-B-32/openai",
    "ViT-B-16/openai",
    "ViT-H-14/laion2b_s32b_b79k",
    "ViT-bigG-14/laion2b_s39b_b160k",
    "ViT-g-14/laion2b_s12b_b42k",
    "ViT-L-14/laion2b_s32b_b82k",
    "ViT-L-14/datacomp_xl_s13b_b90k",
    "micro",
)
"""CLIPs that need no package beyond what a host has."""

VOCABULARIES = {BUILT_IN: None, "extended": "extended", "clip-interrogator": "peer", "clip-gaze": "clip-gaze"}
"""The vocabularies that are no folders, as Settings calls them."""
