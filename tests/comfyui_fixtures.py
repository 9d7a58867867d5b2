"""A real ComfyUI for the tests, and what lies in its folders.

Opt-in: COMFYUI_DIR is its checkout, COMFYUI_PYTHON the Python that runs it, COMFYUI_FRONT_END another page for it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from comfyui_graphs import FEW_PHRASES, NAMES
from comfyui_server import COMFYUI, PYTHON, Server, write_phrases
from hub_server import serving
from transformers import CLIPConfig, CLIPModel


@pytest.fixture(scope="session")
def hub():
    with serving() as hub:
        yield hub


@pytest.fixture(scope="session")
def comfyui(furnished, tmp_path_factory):
    server = furnished(tmp_path_factory.mktemp("comfyui"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def furnished(photographs, hub) -> Callable[[Path], Server]:
    """Makes one that is not started, with pictures, phrases and models in its folders."""
    assert COMFYUI and PYTHON
    places = Path(COMFYUI), Path(PYTHON)

    def made(base: Path) -> Server:
        server = Server(*places, base, hub.url)
        for name, photograph in zip(NAMES, photographs, strict=False):
            photograph.save(server.base / "input" / name)
        write_phrases(server.shared / "phrases" / "few", FEW_PHRASES)
        server.write_models()
        return server

    return made


@pytest.fixture(scope="session")
def clip_in_the_hub(hub, transformers_folder, tmp_path_factory):
    """A CLIP of the real one's name and widths, with one layer and random weights, and the real tokenizer."""
    small = {"intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**small, "hidden_size": 768, "num_attention_heads": 12, "eos_token_id": 49407},
        vision_config={**small, "hidden_size": 32, "image_size": 64, "patch_size": 16},
        projection_dim=768,
    )
    torch.manual_seed(0)
    model, folder = CLIPModel(config), tmp_path_factory.mktemp("clip")
    torch.nn.init.normal_(model.text_projection.weight, std=768**-0.5)
    model.save_pretrained(folder)
    files = [*transformers_folder.iterdir(), *folder.iterdir()]
    hub.repos["openai/clip-vit-large-patch14"] = {path.name: path.read_bytes() for path in files}
