"""From a hub's answers to a loaded CLIP, through the real downloads, and once more from the disk alone."""

from __future__ import annotations

import json
import shutil
from inspect import signature

import pytest
from hub_server import hub_fixture, no_settings_of_this_machine_fixture, server_fixture  # noqa: F401
from safetensors.torch import save_file
from unrender.core.clip import Clip
from unrender.core.errors import ModelError

TEXTS = ["a cat", "oil on canvas"]


@pytest.mark.parametrize("sharded", [False, True])
def test_a_clip_is_downloaded_once_and_loaded(server, hub, transformers_folder, tmp_path, sharded):
    from transformers import CLIPModel

    expected = Clip.load(str(transformers_folder), "cpu").encode_texts(TEXTS)
    folder = transformers_folder
    if sharded:
        folder = tmp_path / "sharded"
        CLIPModel.from_pretrained(str(transformers_folder)).save_pretrained(
            str(folder), max_shard_size="5MB", safe_serialization=True
        )
        assert (folder / "model.safetensors.index.json").is_file()
    files = {path.name: path.read_bytes() for path in transformers_folder.iterdir() if path.suffix != ".safetensors"}
    files |= {path.name: path.read_bytes() for path in folder.iterdir()}
    server.repos["someone/clip"] = files
    assert (Clip.load("someone/clip", "cpu", hub=hub).encode_texts(TEXTS) - expected).abs().max() < 1e-6
    server.requests.clear()
    assert (Clip.load("someone/clip", "cpu", hub=hub).encode_texts(TEXTS) - expected).abs().max() < 1e-6
    assert server.requests == []


def test_a_tokenizer_that_open_clip_names_comes_by_our_own_way(server, hub, transformers_folder, tmp_path):
    """open_clip and transformers would ask the hub themselves: unseen, not to be stopped, for minutes."""
    open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed")
    if "tokenizer_kwargs" not in signature(open_clip.model.CLIPTextCfg).parameters:
        pytest.skip("this open_clip knows nothing of how a tokenizer cleans")
    text = {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2}
    config = {
        "embed_dim": 48,
        "vision_cfg": {"image_size": 64, "layers": 2, "width": 32, "patch_size": 16, "head_width": 16},
        "text_cfg": {**text, "hf_tokenizer_name": "roberta-base", "tokenizer_kwargs": {"clean": "canonicalize"}},
    }
    config_file = tmp_path / "open_clip_config.json"
    config_file.write_text(json.dumps({"model_cfg": config, "preprocess_cfg": {}}))
    sides = {"vision_cfg": config["vision_cfg"], "text_cfg": text}
    save_file(
        {name: tensor.contiguous() for name, tensor in open_clip.CLIP(embed_dim=48, **sides).state_dict().items()},
        tmp_path / "open_clip_model.safetensors",
    )
    tokens = [path for path in transformers_folder.iterdir() if path.suffix != ".safetensors"]
    server.repos = {"roberta-base": {path.name: path.read_bytes() for path in tokens}}
    clip = Clip.load(str(tmp_path), "cpu", hub=hub)
    assert len(server.asked("GET", "/tokenizer_config.json")) == 1 and not server.asked("HEAD")
    assert list(hub.models.glob("models--roberta-base/snapshots/*/tokenizer_config.json"))
    assert (clip.encode_texts(["A cat!"]) - clip.encode_texts(["a cat"])).abs().max() < 1e-6, "cleaned as it says"
    server.requests.clear()
    assert Clip.load(str(tmp_path), "cpu", hub=hub) and server.requests == []
    hub.remove("roberta-base")
    server.status = {"/": 404}
    with pytest.raises(ModelError, match=r"of roberta-base .*answered 404"):
        Clip.load(str(tmp_path), "cpu", hub=hub)
    for path in tokens:
        shutil.copy(path, tmp_path / path.name)
    server.requests.clear()
    assert Clip.load(str(tmp_path / "open_clip_model.safetensors"), "cpu", hub=hub) and server.requests == []
