"""From a hub's answers to a loaded CLIP, through the real downloads, and once more from the disk alone."""

from __future__ import annotations

import pytest
from hub_server import hub_fixture, no_settings_of_this_machine_fixture, server_fixture  # noqa: F401
from unrender.core.clip import Clip

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
