"""Good calls of every node, and what the API may send in the places of their links, paths and names."""

from __future__ import annotations

from typing import Any

from comfyui_graphs import DESCRIBE, EMBED, INTERROGATE, MICRO, SERVER, TAG

LITERALS = ("micro", "p00.png", "", 7, 0.5, True, {}, [], ["1", 0, 2], {"a": "b"})
NAMES = (
    *("~nobody/x", "~", "~/x", "a" * 5000, "/" + "b/" * 2500, "c" * 400, "x\0y", "\0", "\ud800", "a\nb", "a\r\nb"),
    *(".", "..", "../..", "/", "a:b", "C:\\x", "\\\\server\\x", "a/../../b", "con", "nul.txt"),
    *("\u202egnp.exe", "*?<>|", '"', '""', "''", '"/tmp/x"', "file:///etc/passwd", "http://[::1", "http://x:99999"),
    *("$HOME", "%APPDATA%", "~root/.ssh"),
)
"""Paths and names of every kind."""

WIDGETS: dict[str, dict[str, Any]] = {
    "UnrenderInterrogate": {**INTERROGATE, "mode": "fast", "max_phrases": 2},
    "UnrenderLoadInterrogator": {**MICRO, "other_clip": ""},
    "UnrenderInterrogatorFromClip": {name: MICRO[name] for name in MICRO if name not in ("clip", "precision")},
    "UnrenderTagPicture": TAG,
    "UnrenderDescribePicture": {**DESCRIBE, "max_length": 2},
    "UnrenderDescriberServer": {**SERVER, "address": "http://127.0.0.1:9/v1", "model": "m"},
    "UnrenderAnalyze": {"categories": "mediums", "top": 2, "dark": False},
    "UnrenderMatchPhrases": {"phrases": "a disc\na square", "templates": ""},
    "UnrenderLocate": {"phrase": "a disc", "threshold": 0.0},
    "UnrenderSeveralPrompts": {"count": 2},
    "UnrenderNearestRendering": {},
    "UnrenderReadImagePrompt": {"image": "p.png"},
    "UnrenderCaptionFolder": {
        **{"folder": "pictures", "mode": "fast", "existing": "skip"},
        **{"recursive": False, "prefix": "", "suffix": ""},
    },
    "UnrenderImageToPromptEmbedding": EMBED,
    "UnrenderBlendPromptEmbeddings": {"share": 0.5, "mix": "mean"},
    "UnrenderSavePromptEmbedding": {"name": "mine"},
    "UnrenderLoadPromptEmbedding": {"name": "mine.safetensors"},
    "UnrenderTuneOnPictures": {
        **{"name": "mine", "steps": 1, "rate": 1e-3, "batch": 1, "rank": 4, "size": 64, "seed": 0},
        **{"quality": "good", "anchor": ""},
    },
}
PLACES = {
    "UnrenderCaptionFolder": ("folder",),
    "UnrenderLoadInterrogator": ("other_clip", "clip", "captioner", "vocabulary", "tagger"),
    "UnrenderTagPicture": ("tagger",),
    "UnrenderDescribePicture": ("model",),
    "UnrenderDescriberServer": ("address", "model"),
    "UnrenderReadImagePrompt": ("image",),
    "UnrenderSavePromptEmbedding": ("name",),
    "UnrenderLoadPromptEmbedding": ("name",),
    "UnrenderTuneOnPictures": ("name",),
}
"""Every widget that holds a path or a name."""
