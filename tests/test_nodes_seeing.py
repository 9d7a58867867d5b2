"""Whose CLIP sees for Image To Prompt Embedding, where it cannot be had or belongs to another model."""

from __future__ import annotations

import pytest
import torch
from comfyui_graphs import EMBED
from comfyui_nodes import use_standin
from transformers import CLIPTokenizer

use_standin()

from comfyui_small_models import small_clip, small_vision  # noqa: E402
from nodes_setting import micro_setup, models_fixture, server_fixture  # noqa: E402, F401
from unrender.core.errors import ModelError  # noqa: E402

PICTURE = torch.full((1, 64, 64, 3), 0.5)


@pytest.fixture(scope="module", name="clip")
def clip_fixture(transformers_folder):
    return small_clip(CLIPTokenizer.from_pretrained(transformers_folder))


def refused(clip, **inputs) -> str:
    from unrender.nodes.embedding import ImageToPromptEmbedding

    with pytest.raises(ModelError) as caught:
        ImageToPromptEmbedding.execute(image=PICTURE, clip=clip, **{**EMBED, **inputs})
    return str(caught.value)


@pytest.mark.parametrize("quality", ["quick", "good", "best"])
def test_an_interrogator_of_another_model_is_told_before_anything_is_embedded(models, server, clip, quality):
    told = refused(clip, quality=quality, interrogator=micro_setup())
    assert told.startswith("The interrogator's CLIP micro does not belong to this checkpoint, which listens to CLIP-L")
    assert "choose ViT-L-14/openai as clip in Load Interrogator" in told and "Load CLIP Vision" in told


def test_where_the_hub_is_out_of_reach_no_other_model_is_proposed(models, server, clip, monkeypatch):
    """Micro would fail on the checkpoint's shapes."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(models / "nowhere"))
    told = refused(clip)
    assert "load ViT-L/14 (clip-vit-large-patch14) with Load CLIP Vision and connect it to clip_vision" in told
    assert "micro" not in told


def test_a_vision_model_of_another_kind_is_told(models, server, clip):
    other = small_vision()
    other.model.visual_projection = torch.nn.Linear(3, 1024)
    assert "The vision model is ViT-H/14 and does not belong to this CLIP" in refused(clip, clip_vision=other)
