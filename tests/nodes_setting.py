"""What the tests of nodes share: the stand-in's model folders, its server, and a small interrogator."""

from __future__ import annotations

import pytest
import torch
from comfyui_graphs import MICRO
from comfyui_nodes import use_standin

use_standin()

import comfy.model_management as standin_memory  # noqa: E402
import folder_paths  # noqa: E402

from server import PromptServer  # noqa: E402


@pytest.fixture(name="models")
def models_fixture(tmp_path, monkeypatch):
    """ComfyUI's model folders, empty, with ours registered."""
    from unrender.nodes import host

    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path))
    monkeypatch.setattr(folder_paths, "folder_names_and_paths", {})
    monkeypatch.setattr(standin_memory, "loaded", [])
    host.register_folder()
    return tmp_path


@pytest.fixture(name="server")
def server_fixture(monkeypatch):
    monkeypatch.setattr(PromptServer, "instance", PromptServer())
    return PromptServer.instance


def as_batch(pictures) -> torch.Tensor:
    """IMAGE as ComfyUI's LoadImage and ImageBatch make it."""
    from unrender.nodes.pictures import as_batch, as_image

    return as_batch([as_image(picture.resize((96, 96))) for picture in pictures])


def micro_setup():
    from unrender.nodes.loading import LoadInterrogator

    return LoadInterrogator.execute(**MICRO).args[0]
