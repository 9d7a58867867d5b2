"""Small random taggers of real architectures, in folders exactly as SmilingWolf or animetimm publish them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file

SIDE = 32
ROWS: tuple[tuple[str, int], ...] = (
    ("general", 9),
    ("sensitive", 9),
    ("questionable", 9),
    ("explicit", 9),
    ("1girl", 0),
    ("solo", 0),
    ("long_hair", 0),
    ("looking_at_viewer", 0),
    ("animal_ears", 0),
    ("cat_ears", 0),
    (">_<", 0),
    ('say_"lazy"', 0),
    ("bow_(weapon)", 0),
    ("weapon", 0),
    ("hatsune_miku", 4),
    ("hatsune_miku_(append)", 4),
    ("saber_(fate)", 4),
)
"""Ratings first, as in the lists that are published."""

VIT = {"embed_dim": 32, "depth": 2, "num_heads": 2, "patch_size": 8}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "vit": (
        "vit_base_patch16_224",
        {
            **VIT,
            "img_size": SIDE,
            "class_token": False,
            "fc_norm": False,
            "global_pool": "avg",
            "act_layer": "gelu_tanh",
        },
    ),
    "swinv2": (
        "swinv2_base_window8_256",
        {
            "img_size": SIDE,
            "embed_dim": 16,
            "depths": [1, 1],
            "num_heads": [2, 2],
            "window_size": 4,
            "act_layer": "gelu_tanh",
        },
    ),
    "convnext": ("convnext_base", {"depths": [1, 1, 1, 1], "dims": [8, 16, 24, 32]}),
    "vit-large": ("vit_large_patch16_224", {**VIT, "img_size": SIDE, "class_token": False, "global_pool": "avg"}),
    "eva02": (
        "eva02_large_patch14_448",
        {"img_size": SIDE, "patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "ref_feat_shape": [4, 4]},
    ),
    "mobilenet": ("mobilenetv3_small_050", {}),
}
"""Of the named taggers, and one of another publisher's."""


def config_of(name: str, outputs: int = len(ROWS), **told: Any) -> dict[str, Any]:
    architecture, options = ARCHITECTURES[name]
    return {
        "architecture": architecture,
        "num_classes": outputs,
        "num_features": 32,
        "global_pool": "avg",
        "model_args": options,
        "pretrained_cfg": {
            "custom_load": False,
            "input_size": [3, SIDE, SIDE],
            "fixed_input_size": name in ("vit", "swinv2", "eva02"),
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "num_classes": outputs,
            "pool_size": None,
            "first_conv": "patch_embed.proj",
            "classifier": "head",
            **told,
        },
    }


def network(config: dict[str, Any], seed: int = 1) -> torch.nn.Module:
    """Random, and with outputs that spread over the whole range and depend on the picture."""
    torch.manual_seed(seed)
    options = {**config["model_args"], "num_classes": config["num_classes"]}
    module = timm.create_model(config["architecture"], pretrained=False, **options).eval()
    with torch.no_grad():
        for key, value in module.named_parameters():
            if value.dim() > 1:
                value.normal_(std=1.5 / value[0].numel() ** 0.5)
            if key in ("head.weight", "head.fc.weight", "classifier.weight"):
                value.mul_(4)
    return module


def write_list(folder: Path, rows: Sequence[tuple[str, int]] = ROWS) -> None:
    with (folder / "selected_tags.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["tag_id", "name", "category", "count"])
        table.writerows((9999999 + number, name, category, 1000) for number, (name, category) in enumerate(rows))


def make(folder: Path, name: str = "vit", rows: Sequence[tuple[str, int]] = ROWS, seed: int = 1, **told: Any) -> Path:
    """told: what the `pretrained_cfg` says otherwise."""
    folder.mkdir(parents=True, exist_ok=True)
    config = config_of(name, len(rows), **told)
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    state = {key: value.contiguous().clone() for key, value in network(config, seed).state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    write_list(folder, rows)
    return folder


PREPROCESS = {
    "test": [
        {"type": "pad_to_size", "size": [40, 40], "background_color": "white", "interpolation": "bilinear"},
        {"type": "resize", "size": SIDE, "interpolation": "bicubic", "max_size": None, "antialias": True},
        {"type": "center_crop", "size": [SIDE, SIDE]},
        {"type": "maybe_to_tensor"},
        {"type": "normalize", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
    ]
}


def make_with_steps(folder: Path, name: str = "mobilenet", thresholds: Callable[[int], float] = lambda _: 0.4) -> Path:
    """As animetimm's: each step of what is seen, and a threshold for each tag."""
    make(folder, name)
    (folder / "preprocess.json").write_text(json.dumps(PREPROCESS), encoding="utf-8")
    with (folder / "selected_tags.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "tag_id", "name", "category", "count", "best_threshold"])
        table.writerows(
            (number, number, tag, category, 5, thresholds(number)) for number, (tag, category) in enumerate(ROWS)
        )
    return folder
