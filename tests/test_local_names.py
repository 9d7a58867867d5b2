"""Names that were meant for files of this machine, at every door of a model's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_server import FakeHub, is_one_sentence, no_settings_of_this_machine_fixture, server_fixture  # noqa: F401
from unrender.core.errors import ModelError
from unrender.core.hub import Hub


@pytest.mark.parametrize(
    "name",
    [
        *(
            "./x/y",
            "../y",
            "/x/y",
            "~/y",
            "models/y",
            "C:\\y",
            "x\\y",
            "x/y.safetensors",
            "x/y.PT",
            "x/y.sft",
            "x/y.json",
        ),
        *("there/y/z.safetensors", "there/y/"),
    ],
)
def test_a_name_that_is_a_places_is_never_asked_for_at_a_hub(
    server: FakeHub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """At any door of a model's: there a stranger may have taken it."""
    from unrender.core.clip import Clip
    from unrender.core.describe import Captioner
    from unrender.core.variation.checkpoint import Checkpoint
    from unrender.core.verify.dino import Dino

    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    for load in (Clip.load, Captioner.load, Checkpoint.load, Dino.load, lambda name: Hub(tmp_path).fetch(name, [])):
        with pytest.raises(ModelError) as error:
            load(name)
        assert is_one_sentence(error)
    assert server.requests == []


@pytest.mark.parametrize("name", ["x" * 5000, "a/" + "x" * 400, "x\0y", "~nobody/x", "\ud800", "a\nb"])
def test_a_name_that_nothing_can_have_is_a_sentence(name: str) -> None:
    from unrender.core.clip import Clip
    from unrender.core.describe import Captioner
    from unrender.core.errors import UnrenderError
    from unrender.core.phrases.vocabulary import load_vocabulary
    from unrender.core.variation.checkpoint import Checkpoint
    from unrender.core.verify.dino import Dino

    for load in (Clip.load, Captioner.load, Checkpoint.load, Dino.load, load_vocabulary):
        with pytest.raises(UnrenderError) as error:
            load(name)
        assert len(str(error.value)) < 1000
        str(error.value).encode()
