"""A model's folder that brings Python along: none of it runs, not even where someone at the keyboard would let it."""

from __future__ import annotations

import contextlib
import json
import shutil

import pytest
from unrender.core.clip import Clip
from unrender.core.describe import Captioner
from unrender.core.errors import ModelError, UnrenderError
from unrender.core.micro import CAPTIONER_FOLDER


@pytest.fixture
def own_code(tmp_path, transformers_folder, monkeypatch):
    """A CLIP's folder and the Python it holds, which says so when it runs."""
    folder, told = tmp_path / "model", tmp_path / "ran"
    shutil.copytree(transformers_folder, folder)
    (folder / "own.py").write_text(f"import pathlib\npathlib.Path({str(told)!r}).touch()\nclass Own: pass\n")
    questions = []
    monkeypatch.setattr("builtins.input", lambda *said: questions.append(said) or "y")
    yield folder
    assert not told.exists(), "a model's own code ran"
    assert not questions, "someone was asked whether to run a model's own code"


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


OWN = {
    kind: "own.Own" if kind != "AutoTokenizer" else ["own.Own", None]
    for kind in (
        *("AutoConfig", "AutoModel", "AutoTokenizer", "AutoProcessor", "AutoImageProcessor", "AutoFeatureExtractor"),
        *("AutoModelForCausalLM", "AutoModelForVision2Seq", "AutoModelForImageTextToText", "AutoVideoProcessor"),
    )
}
"""For whatever a library might look for."""

SETTINGS = (
    *("config.json", "generation_config.json", "preprocessor_config.json", "processor_config.json"),
    *("tokenizer_config.json", "video_preprocessor_config.json", "special_tokens_map.json"),
)


def plant(folder, file: str, **values) -> None:
    path = folder / file
    told = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({**told, **values, "auto_map": OWN}))


def load_or_refuse(load) -> None:
    """Both are right, where nothing of the model's own runs for it."""
    with contextlib.suppress(UnrenderError):
        load()


@pytest.mark.parametrize("own_kind", [{}, {"model_type": "own", "tokenizer_class": "Own", "processor_class": "Own"}])
@pytest.mark.parametrize("file", SETTINGS)
def test_no_file_of_a_models_folder_has_its_code_run(own_code, file, own_kind):
    own = {**own_kind, **({"image_processor_type": "Own"} if own_kind else {})}
    plant(own_code, file, **own)
    load_or_refuse(lambda: Clip.load(str(own_code), "cpu"))
    (own_code / "model.safetensors").rename(own_code / "clip.safetensors")
    load_or_refuse(lambda: Clip.load(str(own_code / "clip.safetensors"), "cpu"))
    for path in own_code.glob("*.json"):
        path.unlink()
    shutil.copytree(CAPTIONER_FOLDER, own_code, dirs_exist_ok=True)
    plant(own_code, file, **own)
    load_or_refuse(lambda: Captioner.load(str(own_code), "cpu"))


def test_neither_a_judge_nor_a_pipeline_runs_code_of_its_own(own_code):
    from unrender.core.micro import DIFFUSION_FOLDER
    from unrender.core.variation.checkpoint import Checkpoint
    from unrender.core.verify.dino import Dino

    plant(own_code, "config.json", model_type="dinov2")
    load_or_refuse(lambda: Dino.load(str(own_code), "cpu"))
    pipeline = shutil.copytree(DIFFUSION_FOLDER, own_code / "sd")
    for part in ("unet", "text_encoder", "tokenizer", "scheduler", "vae"):
        shutil.copyfile(own_code / "own.py", pipeline / part / "own.py")
        for file in (pipeline / part).glob("*.json"):
            if isinstance(json.loads(file.read_text()), dict) and "vocab" not in file.name:
                plant(pipeline / part, file.name)
    shutil.copyfile(own_code / "own.py", pipeline / "own.py")
    load_or_refuse(lambda: Checkpoint.load(str(pipeline), "cpu"))
    index = json.loads((pipeline / "model_index.json").read_text())
    (pipeline / "model_index.json").write_text(json.dumps({**index, "unet": ["own", "Own"]}))
    load_or_refuse(lambda: Checkpoint.load(str(pipeline), "cpu"))
    (pipeline / "model_index.json").write_text(json.dumps({**index, "_class_name": ["own", "Own"]}))
    load_or_refuse(lambda: Checkpoint.load(str(pipeline), "cpu"))


def test_nobody_is_asked_by_a_library_that_does_not_say_so(own_code):
    """As open_clip does, which asks transformers for the text models of some of its own."""
    from transformers import AutoConfig
    from unrender.core.transformers_access import without_own_code

    change(own_code, "config.json", model_type="own", auto_map=OWN)
    with without_own_code(), pytest.raises(ValueError):
        AutoConfig.from_pretrained(str(own_code))


@pytest.mark.parametrize("value", ["stranger/kernel", "stranger/kernel:run", 7, {"vision_config": "stranger/kernel"}])
def test_attention_from_a_hub_is_refused(own_code, value):
    change(own_code, "config.json", attn_implementation=value)
    with pytest.raises(ModelError, match="asks for program code"):
        Clip.load(str(own_code), "cpu")
