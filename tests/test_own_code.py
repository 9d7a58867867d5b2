"""A model's folder that brings Python along: none of it runs, not even where someone at the keyboard would let it."""

from __future__ import annotations

import json
import shutil

import pytest
from unrender.core.caption import Captioner
from unrender.core.clip import Clip
from unrender.core.errors import ModelError
from unrender.core.micro import CAPTIONER_FOLDER


@pytest.fixture
def own_code(tmp_path, transformers_folder, monkeypatch):
    """A CLIP's folder and the Python it holds, which says so when it runs."""
    folder, told = tmp_path / "model", tmp_path / "ran"
    shutil.copytree(transformers_folder, folder)
    (folder / "own.py").write_text(f"import pathlib\npathlib.Path({str(told)!r}).touch()\nclass Own: pass\n")
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    yield folder
    assert not told.exists(), "a model's own code ran"


def change(folder, file: str, **values) -> None:
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_clip_of_a_kind_of_its_own_is_refused(own_code):
    mapped = {"AutoConfig": "own.Own", "AutoModel": "own.Own"}
    change(own_code, "config.json", model_type="own", auto_map=mapped)
    with pytest.raises(ModelError, match="cannot be loaded as a CLIP model"):
        Clip.load(str(own_code), "cpu")


def test_a_known_clip_loads_without_its_code(own_code):
    change(own_code, "config.json", auto_map={"AutoConfig": "own.Own", "AutoModel": "own.Own"})
    change(own_code, "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Own", None]})
    assert Clip.load(str(own_code), "cpu").encode_texts(["a cat"]).shape == (1, 48)


def test_a_tokenizer_of_a_kind_of_its_own_is_refused(own_code):
    mapped = {"AutoTokenizer": ["own.Own", None]}
    change(own_code, "tokenizer_config.json", tokenizer_class="Own", auto_map=mapped)
    with pytest.raises(ModelError, match=r"The tokenizer in .* cannot be read"):
        Clip.load(str(own_code), "cpu")


def test_a_captioner_with_a_processor_of_its_own_is_refused(own_code):
    shutil.copytree(CAPTIONER_FOLDER, own_code, dirs_exist_ok=True)
    mapped = {"AutoProcessor": "own.Own", "AutoImageProcessor": "own.Own", "AutoTokenizer": ["own.Own", None]}
    change(own_code, "tokenizer_config.json", tokenizer_class="Own", processor_class="Own", auto_map=mapped)
    change(own_code, "preprocessor_config.json", image_processor_type="Own", processor_class="Own", auto_map=mapped)
    with pytest.raises(ModelError):
        Captioner.load(str(own_code), "cpu")
