"""What the tests of the command line share: an engine that answers at once, and pictures."""

from __future__ import annotations

import sys
import types
from typing import ClassVar

import pytest
from PIL import Image
from unrender.core.results import Interrogation, PhraseGain


class FakeEngine:
    """Answers at once with a prompt that tells the picture's colour."""

    made: ClassVar[list[FakeEngine]] = []

    def __init__(self, settings, clip=None, progress=None):
        self.settings, self.progress, self.calls = settings, progress, []
        FakeEngine.made.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None

    def interrogate(self, image, mode="best", caption=None):
        self.calls.append((mode, caption))
        colour = "red" if image.getpixel((0, 0))[0] > 128 else "dark"
        prompt = f"a {colour} (square:1.2), by José"
        return Interrogation(
            prompt, 0.25, mode, caption or "a square", (PhraseGain("by José", "artists", 0.01),), "fake", 0.5
        )


@pytest.fixture(name="engine")
def engine_fixture(monkeypatch):
    """Puts FakeEngine in the engine's place; its class list `made` holds the engines a test has made."""
    FakeEngine.made = []
    monkeypatch.setitem(sys.modules, "unrender.core.engine", types.SimpleNamespace(Engine=FakeEngine))
    return FakeEngine


@pytest.fixture(name="pictures")
def pictures_fixture(tmp_path):
    """Paths of a red picture, a dark one, and a file that is no picture."""
    Image.new("RGB", (8, 8), "red").save(tmp_path / "red one.png")
    Image.new("RGB", (8, 8), "black").save(tmp_path / "dark.png")
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    return [str(tmp_path / name) for name in ("red one.png", "broken.png", "dark.png")]
