"""Taggers among the models that can be named, and their download ahead of time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_taggers as tiny
from hub_server import FakeHub, hub_fixture, no_settings_of_this_machine_fixture, server_fixture  # noqa: F401
from unrender.cli import main
from unrender.core.catalogue import is_part, survey, wanted
from unrender.core.describe import load_describer
from unrender.core.hub import Hub
from unrender.core.published import TAGGERS


@pytest.fixture
def served(no_settings_of_this_machine: None, server: FakeHub, tmp_path: Path) -> FakeHub:
    folder = tiny.make_with_steps(tmp_path / "made")
    server.repos = {"someone/tagger": {path.name: path.read_bytes() for path in folder.iterdir()}}
    return server


def test_describers_are_listed_with_what_one_asks_of_them(
    served: FakeHub, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "--json", "--cache", str(hub.folder)]) == 0
    told = {each["name"]: each for each in json.loads(capsys.readouterr().out)["captioners"]}
    assert {"micro", "micro-tagger", "blip-large", *(row.name for row in TAGGERS)} <= set(told)
    assert told["wd-vit"]["kind"] == "tagger" and told["blip-large"]["kind"] == "captioner"
    assert told["wd-vit"]["licence"] == "Apache-2.0"
    assert told["wd-vit"]["memory"] == told["wd-vit"]["bytes"] // 2
    assert main(["models", "--all", "--cache", str(hub.folder)]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.split()[:1] == ["wd-eva02-large"])
    assert all(word in line for word in ("tagger", "1.3 GB", "630.6 MB on a GPU", "Apache-2.0"))


def test_the_list_of_tags_is_downloaded_with_the_weights(
    served: FakeHub, hub: Hub, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["models", "download", "someone/tagger", "--yes", "--cache", str(hub.folder)]) == 0
    served.requests.clear()
    assert load_describer("someone/tagger", "cpu", hub=hub).name == "someone/tagger"
    assert served.requests == []
    assert main(["models", "download", "someone/tagger", "--yes", "--cache", str(hub.folder)]) == 0
    assert "on this disk already" in capsys.readouterr().out


def test_a_known_tagger_is_wanted_with_its_list(served: FakeHub, hub: Hub) -> None:
    clips, describers = survey(hub)
    assert "selected_tags.csv" in (wanted("wd-vit", [*clips, *describers], hub).files or ())


def test_no_hub_is_asked_whether_another_kind_of_model_is_a_tagger(served: FakeHub, hub: Hub) -> None:
    clips, describers = survey(hub)
    served.requests.clear()
    for name in ("ViT-L-14/openai", "ViT-H-14/laion2b_s32b_b79k", "blip-large"):
        assert "selected_tags.csv" not in (wanted(name, [*clips, *describers], hub).files or ())
    assert served.requests == []


def test_what_is_part_of_the_package_is_not_downloaded(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    assert is_part("Micro-Tagger") and not is_part("wd-vit")
    assert main(["models", "download", "micro-tagger", "--cache", str(hub.folder)]) == 0
    assert "nothing to download" in capsys.readouterr().out
    assert main(["models", "remove", "micro-tagger", "--cache", str(hub.folder)]) == 1
    assert "goes with it" in capsys.readouterr().err
