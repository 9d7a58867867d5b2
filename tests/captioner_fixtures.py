"""Small captioners of every class, made once for all tests, and pictures for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_captioners as tiny
from PIL import Image


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("captioners")
    return {name: maker(root / name) for name, maker in tiny.MAKERS.items()}


@pytest.fixture(scope="session")
def images() -> list[Image.Image]:
    random = np.random.default_rng(0)
    noise = [Image.fromarray(random.integers(0, 256, (40, 30, 3), dtype=np.uint8)) for _ in range(3)]
    return [*noise, Image.new("RGB", (50, 20), "red")]
