"""The engine that the tests of embeddings share."""

from __future__ import annotations

from dataclasses import replace

import pytest
from unrender.core.embed import embedder as embedder_module
from unrender.core.embed import pooled as pooled_module
from unrender.core.engine import Engine, Settings


@pytest.fixture(scope="session")
def engine(tmp_path_factory):
    settings = Settings(clip="micro", captioner=None, device="cpu", precision="exact")
    with Engine(replace(settings, cache=tmp_path_factory.mktemp("embed"))) as engine:
        yield engine


@pytest.fixture
def quick_norms(monkeypatch):
    """Few prompts to measure how long embeddings are."""
    monkeypatch.setattr(embedder_module, "_PROMPTS_FOR_NORMS", 8)
    monkeypatch.setattr(pooled_module, "_PROMPTS_FOR_LENGTHS", 8)
