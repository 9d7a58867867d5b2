"""Micro's CLIP: its picture tower, and the weights of its text tower under the names that transformers gives them."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from .modules import Encoder, attended


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.q_proj, self.k_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.v_proj, self.out_proj = nn.Linear(width, width), nn.Linear(width, width)
        self._heads = heads

    def forward(self, x: Tensor) -> Tensor:
        return self.out_proj(attended(self.q_proj(x), self.k_proj(x), self.v_proj(x), self._heads))


class _PictureEmbeddings(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, patch = config["hidden_size"], config["patch_size"]
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.patch_embedding = nn.Conv2d(3, width, patch, patch, bias=False)
        self.position_embedding = nn.Embedding((config["image_size"] // patch) ** 2 + 1, width)

    def forward(self, pixels: Tensor) -> Tensor:
        patches = self.patch_embedding(pixels).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(pixels), 1, -1)
        return torch.cat([first, patches], 1) + self.position_embedding.weight


class _PictureTower(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, epsilon = config["hidden_size"], config["layer_norm_eps"]
        self.embeddings = _PictureEmbeddings(config)
        self.pre_layrnorm = nn.LayerNorm(width, epsilon)
        self.encoder = Encoder(config, _Attention)
        self.post_layernorm = nn.LayerNorm(width, epsilon)

    def forward(self, pixel_values: Tensor) -> SimpleNamespace:
        """With the name that transformers gives the first of its outputs, as whoever asks its classes expects."""
        states = self.encoder(self.pre_layrnorm(self.embeddings(pixel_values)))
        return SimpleNamespace(pooler_output=self.post_layernorm(states[:, 0]))


class _TextEmbeddings(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(config["vocab_size"], config["hidden_size"])
        self.position_embedding = nn.Embedding(config["max_position_embeddings"], config["hidden_size"])


class _TextTower(nn.Module):
    """Weights alone: core.clip.text_tower evaluates them."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.embeddings = _TextEmbeddings(config)
        self.encoder = Encoder(config, _Attention)
        self.final_layer_norm = nn.LayerNorm(config["hidden_size"], config["layer_norm_eps"])


class MicroClip(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        text, vision, width = config["text_config"], config["vision_config"], config["projection_dim"]
        self.config = SimpleNamespace(text_config=SimpleNamespace(**text), vision_config=SimpleNamespace(**vision))
        self.logit_scale = nn.Parameter(torch.empty(()))
        self.text_model = _TextTower(text)
        self.vision_model = _PictureTower(vision)
        self.text_projection = nn.Linear(text["hidden_size"], width, bias=False)
        self.visual_projection = nn.Linear(vision["hidden_size"], width, bias=False)
