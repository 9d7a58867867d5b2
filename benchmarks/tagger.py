"""A tagger of real size over a folder: where its time goes, and what half precision changes.

`python benchmarks/tagger.py [--architecture wd-vit] [--pictures 8] [--device cpu] [--dtype bfloat16]` makes the network
with random weights, whose outputs are spread as a trained one's are (some hundred of 10,861 tags above .35), and a
folder of JPEG files. It prints the share of decoding, of the view, of one pass of the network, and of all else; the
passes called by themselves, which nothing can be faster than; and how many tags cross their threshold in half
precision.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image, ImageFilter
from safetensors.torch import save_file
from unrender.core.describe import Tagger
from unrender.core.devices import pick_device
from unrender.core.images import open_image

_VIT = {"img_size": 448, "class_token": False, "fc_norm": False, "global_pool": "avg", "act_layer": "gelu_tanh"}
REAL: dict[str, tuple[str, dict[str, Any]]] = {
    "wd-vit": ("vit_base_patch16_224", _VIT),
    "wd-swinv2": ("swinv2_base_window8_256", {"img_size": 448, "window_size": 14, "act_layer": "gelu_tanh"}),
    "wd-convnext": ("convnext_base", {}),
    "wd-vit-large": ("vit_large_patch16_224", _VIT),
    "wd-eva02-large": ("eva02_large_patch14_448", {}),
}
OUTPUTS, RATINGS, GENERAL = 10_861, 4, 8_106
MEAN, SPREAD = -6.0, 2.5
"""Of the outputs before the sigmoid."""


def make_folder(folder: Path, name: str) -> Path:
    architecture, options = REAL[name]
    torch.manual_seed(0)
    module = timm.create_model(architecture, pretrained=False, num_classes=OUTPUTS, **options).eval()
    with torch.no_grad():
        for key, value in module.named_parameters():
            if value.dim() > 1 and "head" not in key:
                value.normal_(std=1.0 / value[0].numel() ** 0.5)
        seen = torch.randn(1, 3, 448, 448)
        head = module.get_classifier()
        before = module.forward_head(module.forward_features(seen), pre_logits=True)
        head.weight.normal_(std=SPREAD / float(before.norm()))
        head.bias.fill_(MEAN)
    config = {"input_size": [3, 448, 448], "interpolation": "bicubic", "mean": [0.5] * 3, "std": [0.5] * 3}
    told = {"architecture": architecture, "num_classes": OUTPUTS, "model_args": options, "pretrained_cfg": config}
    (folder / "config.json").write_text(json.dumps(told))
    save_file({key: value.contiguous() for key, value in module.state_dict().items()}, folder / "model.safetensors")
    with (folder / "selected_tags.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["tag_id", "name", "category", "count"])
        for number in range(OUTPUTS):
            category = 9 if number < RATINGS else 0 if number < RATINGS + GENERAL else 4
            table.writerow([number, f"tag{number}", category, 1])
    return folder


def make_pictures(folder: Path, count: int, size: tuple[int, int] = (1216, 832)) -> list[Path]:
    random = np.random.default_rng(0)
    paths = []
    for number in range(count):
        small = Image.fromarray(random.integers(0, 256, (26, 38, 3), dtype=np.uint8))
        picture = small.resize(size, Image.Resampling.BICUBIC).filter(ImageFilter.UnsharpMask(3))
        paths.append(folder / f"{number}.jpg")
        picture.save(paths[-1], quality=92)
    return paths


class Clock:
    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[what] = self.seconds.get(what, 0) + time.perf_counter() - started

    def around(self, what: str, work: Callable[..., Any], device: torch.device) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            with self.of(what):
                found = work(*arguments)
                if device.type == "cuda":
                    torch.cuda.synchronize()
            return found

        return timed


def shares(tagger: Tagger, paths: list[Path], device: torch.device) -> None:
    clock = Clock()
    module = tagger.module
    tagger.describe([open_image(paths[0])])  # what is done once
    whole = module.forward
    module.forward = clock.around("pass", whole, device)
    try:
        with clock.of("all"):
            opened = map(clock.around("decoding", open_image, device), paths)
            seen = map(clock.around("view", tagger.seen, device), opened)
            taken = list(seen)
            for start in range(0, len(taken), tagger.at_once):
                tagger.describe_seen(taken[start : start + tagger.at_once])
    finally:
        module.forward = whole
    total = clock.seconds.pop("all")
    decoded = clock.seconds["decoding"] + clock.seconds["pass"]
    print(f"{len(paths)} pictures in {total:.2f} s, {len(paths) / total:.2f} a second")
    for what, seconds in clock.seconds.items():
        print(f"  {what:<9} {seconds / total:6.1%}  {1000 * seconds / len(paths):8.1f} ms a picture")
    print(f"  {'all else':<9} {1 - sum(clock.seconds.values()) / total:6.1%}")
    print(f"  decoding and one pass together {decoded / total:.1%}")
    dtype = next(module.parameters()).dtype
    inputs = torch.zeros(min(tagger.at_once, len(paths)), 3, 448, 448, device=device, dtype=dtype)
    with torch.inference_mode(), clock.of("alone"):
        module(inputs).cpu()
    alone = 1000 * clock.seconds["alone"] / len(inputs)
    print(f"  the network by itself, called with ready inputs: {alone:.1f} ms a picture")


def crossing(folder: Path, paths: list[Path], device: torch.device, dtype: torch.dtype) -> None:
    """Of all pairs of picture and tag, how many are said in one precision and not in the other."""
    found = []
    for precision in (torch.float32, dtype):
        tagger = Tagger.load(str(folder), str(device), precision)
        found.append(tagger.confidences([tagger.seen(open_image(path)) for path in paths]))
        del tagger
    general = slice(RATINGS, RATINGS + GENERAL)
    least = np.full(OUTPUTS, 0.85)
    least[general] = 0.35
    said = [values >= least for values in found]
    said = [each[:, RATINGS:] for each in said]
    differ = int((said[0] != said[1]).sum())
    name = str(dtype).removeprefix("torch.")
    difference = np.abs(found[0] - found[1])
    print(f"{name} against float32 on {device}: confidences differ by {difference.max():.4f} at most")
    print(f"  {difference.mean():.6f} in the mean; of {int(said[0].sum())} tags said of {len(paths)} pictures")
    print(f"  {differ} cross their threshold ({differ / max(1, int(said[0].sum())):.2%})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", choices=REAL, default="wd-vit")
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", choices=("bfloat16", "float16"), default=None)
    options = parser.parse_args()
    device = pick_device(options.device)
    dtype = getattr(torch, options.dtype or ("bfloat16" if device.type == "cpu" else "float16"))
    with tempfile.TemporaryDirectory() as name:
        folder = make_folder(Path(name), options.architecture)
        paths = make_pictures(folder, options.pictures)
        started = time.perf_counter()
        tagger = Tagger.load(str(folder), str(device))
        print(f"{options.architecture} on {device}: loaded in {time.perf_counter() - started:.2f} s")
        shares(tagger, paths, device)
        del tagger
        crossing(folder, paths, device, dtype)


if __name__ == "__main__":
    main()
