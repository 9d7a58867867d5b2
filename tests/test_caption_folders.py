"""Captioners from folders that other versions wrote, from the hub, and from the package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny_captioners as tiny
from hub_server import FakeHub, hub_fixture, no_settings_of_this_machine_fixture, server_fixture  # noqa: F401
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_captioners import FLOOR, NEW, sentence
from unrender.core.describe import KNOWN_CAPTIONERS, Captioner, find_captioner
from unrender.core.errors import ModelError
from unrender.core.hub import Hub
from unrender.core.settings import CaptionSettings

pytest_plugins = ["captioner_fixtures"]


# --- folders written by other versions ---


def test_shared_weights_that_were_written_once_are_shared_again(
    folders: dict[str, Path], images: list[Image.Image], tmp_path: Path
) -> None:
    """transformers 5 writes BLIP's word embeddings once; 4.30 would leave the output layer random."""
    once, twice = (shutil.copytree(folders["blip"], tmp_path / name) for name in ("once", "twice"))
    weights = load_file(once / "model.safetensors")
    output = "text_decoder.cls.predictions.decoder.weight"
    embeddings = weights["text_decoder.bert.embeddings.word_embeddings.weight"]
    weights.pop(output, None)
    save_file(weights, once / "model.safetensors", metadata={"format": "pt"})
    save_file({**weights, output: embeddings.clone()}, twice / "model.safetensors", metadata={"format": "pt"})
    captions = [Captioner.load(str(folder)).caption(images) for folder in (once, twice)]
    assert captions[0] == captions[1]


def test_blip2_folders_from_before_image_tokens(tmp_path: Path, images: list[Image.Image]) -> None:
    folder = tiny.blip2_opt(tmp_path / "old", image_token=False)
    captioner = Captioner.load(str(folder))
    for instruction in ("", "a drawing of"):
        captions = captioner.caption(images, CaptionSettings(instruction=instruction, max_length=5))
        assert len(set(captions)) > 1


@pytest.mark.skipif(NEW, reason="what newer versions write, read by an older one")
def test_a_processor_that_a_newer_transformers_wrote(
    folders: dict[str, Path], images: list[Image.Image], tmp_path: Path
) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / "new")
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    described = {"image_processor": settings, "processor_class": settings.pop("processor_class")}
    (folder / "processor_config.json").write_text(json.dumps(described))
    assert Captioner.load(str(folder)).caption(images) == Captioner.load(str(folders["blip"])).caption(images)


@pytest.mark.skipif(not FLOOR, reason="newer versions read all formats of tokenizer.json")
def test_a_tokenizer_file_that_is_too_new(folders: dict[str, Path], images: list[Image.Image], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / "new")
    (folder / "tokenizer.json").write_text('{"version": "1.0", "model": {"type": "Unheard"}}')
    assert Captioner.load(str(folder)).caption(images) == Captioner.load(str(folders["blip"])).caption(images)


# --- from the hub ---


@pytest.fixture
def served(no_settings_of_this_machine: None, server: FakeHub, folders: dict[str, Path]) -> FakeHub:
    server.repos = {"someone/blip": {path.name: path.read_bytes() for path in folders["blip"].iterdir()}}
    return server


def test_a_hub_id_is_downloaded_and_loaded(
    served: FakeHub, hub: Hub, folders: dict[str, Path], images: list[Image.Image]
) -> None:
    captioner = Captioner.load("someone/blip", hub=hub)
    assert captioner.name == "someone/blip"
    assert captioner.caption(images) == Captioner.load(str(folders["blip"])).caption(images)
    served.requests.clear()
    assert Captioner.load("someone/blip", hub=hub).caption(images[:1]) == captioner.caption(images[:1])
    assert served.requests == []


def test_a_hub_model_of_another_kind_is_refused_before_its_weights(
    served: FakeHub, hub: Hub, transformers_folder: Path
) -> None:
    served.repos["someone/clip"] = {path.name: path.read_bytes() for path in transformers_folder.iterdir()}
    with pytest.raises(ModelError, match="CLIPModel"):
        Captioner.load("someone/clip", hub=hub)
    assert not served.asked("GET", ".safetensors")


def test_known_names_lead_to_their_repositories(served: FakeHub, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    known = KNOWN_CAPTIONERS["blip-large"]
    served.repos[known.repo] = served.repos["someone/blip"]
    assert known.repo.replace("/", "--") in str(find_captioner("BLIP-large", hub))
    base = KNOWN_CAPTIONERS["blip-base"]
    served.repos[base.repo], served.branches[base.revision] = {}, served.repos["someone/blip"]
    assert find_captioner("blip-base", hub).name.startswith("babe")


def test_without_a_network(hub: Hub, no_settings_of_this_machine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match=r"Salesforce/blip-image-captioning-large.*micro or none as") as error:
        Captioner.load("blip-large", hub=hub)
    sentence(error)


def test_micro(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import unrender.core.micro as micro

    captioner = Captioner.load("micro")
    assert captioner.name == "micro" and captioner.caption([Image.new("RGB", (64, 64))])
    monkeypatch.setattr(micro, "CAPTIONER_FOLDER", tmp_path)
    with pytest.raises(ModelError, match="install this package again"):
        Captioner.load("micro")
