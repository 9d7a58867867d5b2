"""Captioners that are unknown, damaged, too new or of another kind are sentences."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from hub_server import FakeHub, hub_fixture, no_settings_of_this_machine_fixture, server_fixture  # noqa: F401
from safetensors.torch import load_file, save_file
from tiny_captioners import FLOOR, change_config, sentence
from unrender.core.describe import Captioner, nearest_captioners
from unrender.core.errors import MissingPackageError, ModelError
from unrender.core.hub import Hub
from unrender.core.hub.names import PROCESSOR_FILES

pytest_plugins = ["captioner_fixtures"]


@pytest.mark.parametrize(
    ("typed", "near"),
    [("blip-larg", "blip-large"), ("BLIP2", "blip2"), ("florence", "florence-2"), ("wd-vit-tagger-v3", "wd-vit")],
)
def test_unknown_names_list_the_nearest(typed: str, near: str) -> None:
    with pytest.raises(ModelError, match="no describer") as error:
        Captioner.load(typed)
    assert near in sentence(error).partition(";")[2]
    assert nearest_captioners(typed)[0].startswith(near)


def test_nothing_like_it(tmp_path: Path) -> None:
    for name in ("zzzzzz", str(tmp_path / "not-there"), "./not-there"):
        with pytest.raises(ModelError, match="There is no describer") as error:
            Captioner.load(name)
        assert "`core.catalogue` lists" in sentence(error) and "ADDRESS#MODEL" in sentence(error)


def test_a_clip_folder_is_no_captioner(transformers_folder: Path) -> None:
    with pytest.raises(ModelError, match="is a CLIPModel, which writes no captions") as error:
        Captioner.load(str(transformers_folder))
    sentence(error)


def test_a_question_answering_blip_is_no_captioner(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / "vqa")
    change_config(folder, architectures=["BlipForQuestionAnswering"])
    with pytest.raises(ModelError, match="BlipForQuestionAnswering, which writes no captions"):
        Captioner.load(str(folder))


def test_a_model_of_the_future_names_the_version(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / "future")
    change_config(
        folder, architectures=["Blip9ForEverything"], model_type="blip9", transformers_version="9.1.0", auto_map=None
    )
    with pytest.raises(MissingPackageError, match=r"pip install 'transformers>=9\.1\.0'") as error:
        Captioner.load(str(folder))
    sentence(error)


def test_code_that_comes_with_a_model_is_never_run(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / "code")
    (folder / "modeling_own.py").write_text("raise SystemExit('this ran')")
    change_config(
        folder,
        architectures=["OwnForConditionalGeneration"],
        model_type="own",
        auto_map={"AutoModel": "modeling_own.Own", "AutoModelForCausalLM": "modeling_own.Own"},
    )
    with pytest.raises(ModelError, match="never done") as error:
        Captioner.load(str(folder))
    sentence(error)


@pytest.mark.skipif(not FLOOR, reason="this transformers has them all")
def test_what_needs_a_newer_transformers_says_so(tmp_path: Path) -> None:
    with pytest.raises(MissingPackageError, match=r"florence-2-base needs transformers 4\.56.*pip install") as error:
        Captioner.load("florence-2-base", hub=Hub(tmp_path))
    sentence(error)


def test_other_weights_than_safetensors_are_never_opened(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / "pickled")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"only as pytorch_model\.bin"):
        Captioner.load(str(folder))
    (folder / "pytorch_model.bin").unlink()
    with pytest.raises(ModelError, match=r"no model\.safetensors"):
        Captioner.load(str(folder))
    with pytest.raises(ModelError, match="is a file"):
        Captioner.load(str(folder / "config.json"))


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "lacking", "shape"])
def test_damaged_weights(folders: dict[str, Path], tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / damage)
    path = folder / "model.safetensors"
    data, weights = path.read_bytes(), load_file(path)
    key = "vision_model.encoder.layers.0.mlp.fc1.weight"
    if damage == "lacking":
        del weights[key]
        save_file(weights, path, metadata={"format": "pt"})
    elif damage == "shape":
        save_file({**weights, key: torch.zeros(3, 3)}, path, metadata={"format": "pt"})
    else:
        path.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "text": b"not weights at all"}[damage])
    with pytest.raises(ModelError) as error:
        Captioner.load(str(folder))
    sentence(error)


@pytest.mark.parametrize("lost", ["config.json", "preprocessor_config.json", "tokenizers"])
def test_an_incomplete_folder(folders: dict[str, Path], tmp_path: Path, lost: str) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / "part")
    for name in [lost] if lost != "tokenizers" else [name for name in PROCESSOR_FILES if name not in IMAGE_FILES]:
        (folder / name).unlink(missing_ok=True)
    with pytest.raises(ModelError) as error:
        Captioner.load(str(folder))
    sentence(error)


IMAGE_FILES = ("preprocessor_config.json", "processor_config.json")


def test_a_configuration_that_is_no_json(folders: dict[str, Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folders["blip"], tmp_path / "part")
    for text in ("{", "[]", ""):
        (folder / "config.json").write_text(text)
        with pytest.raises(ModelError, match=r"config\.json"):
            Captioner.load(str(folder))
