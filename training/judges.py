"""Two networks that read the factors of a picture, to measure renderings with: one selects settings, one tests.

`python -m training.judges NAME` trains one from nothing. They differ in architecture and in their pictures,
which are drawn with seeds no other model sees, and are never a teacher of the models they judge.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import time
from pathlib import Path
from typing import Literal, get_args

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from unrender.core.micro.pictures import Pictures, normalise, render, render_for_judge
from unrender.core.micro.world import FACTORS

Name = Literal["selecting", "testing"]
NAMES: tuple[Name, ...] = get_args(Name)
JUDGES_FOLDER = Path(__file__).with_name("weights") / "judges"

BATCH, RATE, LOG_EVERY = 64, 3e-3, 100
_SIZES = [len(values) for values in FACTORS.values()]
_CHUNK = 250

log = logging.getLogger(__name__)


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.body(x))


def selecting_network() -> nn.Sequential:
    """Residual blocks, halved by strides, averaged over the picture."""
    layers: list[nn.Module] = []
    before = 3
    for width in (24, 48, 96):
        layers += [nn.Conv2d(before, width, 4, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        layers += [Residual(width), Residual(width)]
        before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, sum(_SIZES)))


def testing_network() -> nn.Sequential:
    """Plain convolutions, halved by maxima, with a hidden layer over all places."""
    layers: list[nn.Module] = []
    before = 3
    for number, width in enumerate((20, 40, 64, 96)):
        for _ in range(1 if number == 0 else 2):
            layers += [nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.GELU()]
            before = width
        layers.append(nn.MaxPool2d(2))
    places = (64 >> 4) ** 2
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(before * places, 192),
        nn.GELU(),
        nn.Linear(192, sum(_SIZES)),
    )


def new_judge(name: Name) -> nn.Sequential:
    return selecting_network() if name == "selecting" else testing_network()


def load_judge(name: Name, folder: Path = JUDGES_FOLDER) -> nn.Sequential:
    judge = new_judge(name)
    judge.load_state_dict({key: value.float() for key, value in load_file(folder / f"{name}.safetensors").items()})
    return judge.eval().requires_grad_(False)


@torch.no_grad()
def read_factors(judge: nn.Module, pixels: Tensor) -> Tensor:
    """uint8 pixels (n, 3, 64, 64) to the index of each factor's value, (n, 6)."""
    parts = []
    for some in pixels.split(_CHUNK):
        parts.append(torch.stack([each.argmax(1) for each in judge(normalise(some)).split(_SIZES, 1)], 1))
    return torch.cat(parts)


def accuracies(judge: nn.Module, pictures: Pictures) -> dict[str, float]:
    right = (read_factors(judge, pictures.pixels) == pictures.labels).float().mean(0)
    return {name: round(float(share), 4) for name, share in zip(FACTORS, right, strict=True)}


def train_judge(name: Name, pictures: Pictures, minutes: float) -> nn.Sequential:
    number = NAMES.index(name)
    torch.manual_seed(100 + number)
    rng, judge = random.Random(number), new_judge(name).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(judge.parameters(), RATE, weight_decay=0.05)
    started, step = time.monotonic(), 0
    while (done := (time.monotonic() - started) / (60 * minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 200) * (1 - done)
        chosen = torch.randint(len(pictures.pixels), (BATCH,))
        pixels = _varied(normalise(pictures.pixels[chosen]), rng).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            logits = judge(pixels)
        loss = _loss(logits.float(), pictures.labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % LOG_EVERY == 0:
            log.info("step %d, %.0f s: %.4f", step, time.monotonic() - started, loss.item())
    return judge.eval()


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    parts = zip(logits.split(_SIZES, 1), labels.T, strict=True)
    return torch.stack([F.cross_entropy(guess, label) for guess, label in parts]).sum()


def _varied(pixels: Tensor, rng: random.Random) -> Tensor:
    """Mirrored, moved a little, and at times less sharp or noisy, as renderings are."""
    if rng.random() < 0.5:
        pixels = pixels.flip(-1)
    pixels = pixels.roll((rng.randint(-2, 2), rng.randint(-2, 2)), (2, 3))
    if rng.random() < 0.2:
        pixels = pixels + rng.uniform(0, 0.2) * torch.randn_like(pixels)
    if rng.random() < 0.2:
        share = rng.uniform(0, 0.7)
        pixels = (1 - share) * pixels + share * F.avg_pool2d(pixels, 3, 1, 1, count_include_pad=False)
    return pixels


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a network that reads the factors of micro's pictures.")
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--out", type=Path, default=JUDGES_FOLDER)
    parser.add_argument("--pictures", type=int, default=40_000)
    parser.add_argument("--minutes", type=float, default=30)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    judge = train_judge(options.name, render_for_judge(NAMES.index(options.name), options.pictures), options.minutes)
    options.out.mkdir(parents=True, exist_ok=True)
    half = {
        key: value.half().contiguous() if value.is_floating_point() else value
        for key, value in judge.state_dict().items()
    }
    save_file(half, options.out / f"{options.name}.safetensors")
    measures = {"pictures": options.pictures, "minutes": options.minutes}
    kept = load_judge(options.name, options.out)
    measures |= {split: accuracies(kept, render(split, 2000)) for split in ("validation", "test")}
    (options.out / f"{options.name}.json").write_text(json.dumps(measures, indent=1) + "\n", encoding="utf-8")
    log.info("%s", measures)


if __name__ == "__main__":
    main()
