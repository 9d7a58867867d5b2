"""Trains the micro tagger from nothing, in the layout that the wd taggers are published in, and measures it on the
validation pictures: `python -m training.train_tagger`.

A residual network of timm's made small reads the picture, as those taggers do: blue before green before red, each from
-1 to 1. One sigmoid a tag says how likely the tag is. `training.evaluate_tagger` measures on the test pictures.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import timm
import torch
from torch.nn import functional as F
from unrender.core.micro import TAGGER_FOLDER
from unrender.core.micro.drawing import SIZE
from unrender.core.micro.pictures import Pictures, render
from unrender.core.micro.tags import all_tags, tags_of
from unrender.core.micro.world import Scene

from .evaluate_tagger import measure_tagger, note
from .folders import save_weights
from .train import by_decay, shifted, training_device

ARCHITECTURE = "resnet18"
MODEL_ARGS: dict[str, Any] = {
    "layers": [1, 1, 1, 1],
    "channels": [32, 64, 128, 160],
    "stem_type": "deep",
    "stem_width": 16,
}
BATCH = 64
WARM_STEPS, LOG_EVERY, SAVE_EVERY = 50, 50, 500
CATEGORY_NUMBERS = {"general": 0, "character": 4, "rating": 9}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training:
    """steps, minutes: whichever is over first; the learning rate falls as they pass."""

    seed: int = 1
    pictures: int = 60_000
    steps: int = 4_000
    minutes: float = 60.0
    rate: float = 2e-3
    threads: int = 1
    device: str = "auto"


def tag_rows() -> list[tuple[str, int]]:
    """Name and category's number of each output."""
    return [(name, CATEGORY_NUMBERS[category]) for category, names in all_tags().items() for name in names]


def wanted(scenes: list[Scene]) -> torch.Tensor:
    """One row a scene, one column a tag: whether it is in the picture."""
    column = {name: number for number, (name, _) in enumerate(tag_rows())}
    rows = torch.zeros(len(scenes), len(column))
    for row, scene in zip(rows, scenes, strict=True):
        row[[column[name] for names in tags_of(scene).values() for name in names]] = 1
    return rows


def write_tagger_files(folder: Path, scenes: list[Scene]) -> None:
    """Everything of the folder but the weights. scenes: in which a tag is counted."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = tag_rows()
    config = {
        "architecture": ARCHITECTURE,
        "num_classes": len(rows),
        "num_features": MODEL_ARGS["channels"][-1],
        "global_pool": "avg",
        "model_args": MODEL_ARGS,
        "pretrained_cfg": {
            "custom_load": False,
            "input_size": [3, SIZE, SIZE],
            "fixed_input_size": False,
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "num_classes": len(rows),
            "pool_size": None,
            "first_conv": "conv1.0",
            "classifier": "fc",
        },
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    counts = Counter(name for scene in scenes for names in tags_of(scene).values() for name in names)
    with (folder / "selected_tags.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("tag_id", "name", "category", "count"))
        table.writerows((number, name, category, counts[name]) for number, (name, category) in enumerate(rows, start=1))


def prepared(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 RGB pixels (n, 3, h, w) to what the network reads."""
    return (pixels.flip(1).float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def train_tagger(pictures: Pictures, folder: Path, settings: Training) -> None:
    write_tagger_files(folder, pictures.scenes)
    device = training_device(settings.device)
    model = timm.create_model(ARCHITECTURE, pretrained=False, num_classes=len(tag_rows()), **MODEL_ARGS)
    model = model.to(device=device).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(by_decay(list(model.parameters())), settings.rate, betas=(0.9, 0.98), fused=True)
    batches, started, smooth, passed = _batches(pictures, settings, device), time.monotonic(), 0.0, 0.0
    for step in range(1, settings.steps + 1):
        passed = max(step / settings.steps, (time.monotonic() - started) / 60 / settings.minutes)
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * min(1, step / WARM_STEPS) * (1 + math.cos(math.pi * min(1, passed))) / 2
        pixels, tags = next(batches)
        with torch.autocast(device.type, torch.bfloat16):
            logits = model(pixels)
        loss = F.binary_cross_entropy_with_logits(logits.float(), tags, reduction="none").sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        smooth = 0.95 * smooth + 0.05 * loss.item() if step > 1 else loss.item()
        if step % LOG_EVERY == 0:
            log.info("step %d of %d, %.0f s: %.3f", step, settings.steps, time.monotonic() - started, smooth)
        if step % SAVE_EVERY == 0:
            save_weights(model, folder)
        if passed >= 1:
            break
    save_weights(model, folder)


def _batches(
    pictures: Pictures, settings: Training, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    rng, pick = random.Random(settings.seed), torch.Generator().manual_seed(settings.seed)
    tags = wanted(pictures.scenes)
    while True:
        for chosen in torch.randperm(len(pictures.scenes), generator=pick).split(BATCH):
            pixels, _ = shifted(pictures.pixels[chosen].to(device), pictures.masks[chosen].to(device), rng)
            yield prepared(pixels), tags[chosen].to(device)


def train(settings: Training, folder: Path) -> dict[str, Any]:
    torch.manual_seed(settings.seed)
    torch.set_num_threads(settings.threads)
    started = time.monotonic()
    pictures = render("train", settings.pictures)
    log.info("drew %d pictures in %.0f s", settings.pictures, time.monotonic() - started)
    train_tagger(pictures, folder, settings)
    return {
        "settings": asdict(settings),
        "batch": BATCH,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "validation": measure_tagger(folder, render("validation", 2000)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the micro tagger from nothing.")
    parser.add_argument("--out", type=Path, default=TAGGER_FOLDER, help="its folder")
    for setting in fields(Training):
        option = "--" + setting.name.replace("_", "-")
        parser.add_argument(option, type=type(setting.default), default=setting.default)
    given = vars(parser.parse_args())
    folder = given.pop("out")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    measures = train(Training(**given), folder)
    log.info("%s", json.dumps(measures, indent=1))
    if folder == TAGGER_FOLDER:
        note(training=measures)


if __name__ == "__main__":
    main()
