"""A small picture world with its own trained CLIP and captioner: for tests and demonstrations only.

The models know nothing but the few shapes, colours and styles of this world. They are a test and demo model that a
user asks for by name; nothing falls back to them silently. Importing this package imports no torch.
"""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).resolve().parent

CLIP_FOLDER = _HERE / "weights" / "clip"
CAPTIONER_FOLDER = _HERE / "weights" / "blip"
CHAT_FOLDER = _HERE / "weights" / "chat"
TAGGER_FOLDER = _HERE / "weights" / "tagger"
DIFFUSION_FOLDER = _HERE / "weights" / "sd"
PHRASES_FOLDER = _HERE / "phrases"
FAMILIES_FOLDER = _HERE / "families"
BANK_FILE = _HERE / "weights" / "clip" / "bank.safetensors"
MEASURES_FILE = _HERE / "weights" / "MEASURES.json"
GAP_FILE = _HERE / "weights" / "clip" / "gap.safetensors"
