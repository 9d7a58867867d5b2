"""What curation makes of pictures that share much and are no copies: crops of few photographs, frames of bursts.

`python benchmarks/curation.py --crops 300`. The photographs are those that scikit-image brings along; for the split
`test` others. What two crops share is known: the area of both, of all that the two cover (intersection over union).
"""

from __future__ import annotations

import io
import random
import sys
import tempfile
import time
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from unrender.core.curate import Report, curate
from unrender.core.curate.overlap import SHARE
from unrender.core.engine import Engine, Settings
from unrender.core.index import update_index

PHOTOGRAPHS = {
    "validation": ("astronaut", "coffee", "chelsea", "rocket", "immunohistochemistry", "hubble_deep_field", "camera"),
    "test": ("retina", "moon", "clock", "page", "coins", "gravel", "cell"),
}
LEAST_SIDE, FRAMES = 0.6, 6
_INSIDE = 0.002  # a pixel of 500


class Crop(NamedTuple):
    photograph: str
    box: tuple[int, int, int, int]

    @property
    def area(self) -> int:
        left, top, right, bottom = self.box
        return (right - left) * (bottom - top)

    def common(self, other: Crop) -> int:
        if self.photograph != other.photograph:
            return 0
        left, top, right, bottom = zip(self.box, other.box, strict=True)
        return max(0, min(right) - max(left)) * max(0, min(bottom) - max(top))

    def shared(self, other: Crop) -> float:
        common = self.common(other)
        return common / (self.area + other.area - common)

    def is_copy_of(self, other: Crop) -> bool:
        """The smaller one shows no margin that the larger one lacks."""
        inside = self.common(other) / min(self.area, other.area)
        return self.shared(other) >= SHARE and inside >= 1 - _INSIDE


def measure_crops(count: int, split: str) -> None:
    from skimage import data

    photographs = {name: Image.fromarray(getattr(data, name)()).convert("RGB") for name in PHOTOGRAPHS[split]}
    rng = random.Random(0)
    with Engine(Settings(clip="micro", device="cpu", captioner=None)) as engine:
        for made, resized in (("as they are", False), ("resized and compressed", True)):
            with tempfile.TemporaryDirectory() as place:
                crops = _crops(Path(place), photographs, count, resized, rng)
                _tell(f"{split}: {count} crops of {len(photographs)} photographs, {made}", crops, engine, Path(place))
        with tempfile.TemporaryDirectory() as place:
            _frames(Path(place), photographs)
            update_index(engine, place)
            report = curate(engine, place)
            _say(f"{split}: {FRAMES} frames of each: duplicates {len(report.of('duplicate'))} (should be none), ")
            _say(f"  nearly the same {len(report.of('near'))}")


def _crops(
    folder: Path, photographs: dict[str, Image.Image], count: int, resized: bool, rng: random.Random
) -> dict[str, Crop]:
    crops = {}
    for number in range(count):
        name = list(photographs)[number % len(photographs)]
        picture = photographs[name]
        width, height = (round(side * rng.uniform(LEAST_SIDE, 1)) for side in picture.size)
        left, top = rng.randint(0, picture.width - width), rng.randint(0, picture.height - height)
        crop = Crop(name, (left, top, left + width, top + height))
        image = picture.crop(crop.box)
        if resized:
            factor = rng.uniform(0.4, 1.2)
            image = image.resize((round(width * factor), round(height * factor)), Image.Resampling.LANCZOS)
            buffer = io.BytesIO()
            image.save(buffer, "JPEG", quality=rng.randint(60, 95))
            image = Image.open(buffer).convert("RGB")
        image.save(folder / f"{number}.png")
        crops[f"{number}.png"] = crop
    return crops


def _frames(folder: Path, photographs: dict[str, Image.Image]) -> None:
    """The camera moves by a hundredth of the picture, a ball by half of its width, and the sensor has noise."""
    for name, picture in photographs.items():
        width, height = round(0.9 * picture.width), round(0.9 * picture.height)
        size = picture.width // 25
        for number in range(FRAMES):
            drawn, by, left = picture.copy(), number * picture.width // 100, picture.width // 3 + number * size // 2
            ball = (left, picture.height // 2, left + size, picture.height // 2 + size)
            ImageDraw.Draw(drawn).ellipse(ball, (230, 90, 30))
            seen = np.asarray(drawn.crop((by, by // 2, by + width, by // 2 + height)), np.float32)
            seen = seen + np.random.default_rng(number).normal(0, 4, seen.shape)
            Image.fromarray(seen.clip(0, 255).astype(np.uint8)).save(folder / f"{name} {number}.png")


def _tell(heading: str, crops: dict[str, Crop], engine: Engine, folder: Path) -> None:
    update_index(engine, folder)
    started = time.process_time()
    report = curate(engine, folder)
    _say(f"{heading}, {time.process_time() - started:.0f} s of CPU")
    for kind in ("duplicate", "near"):
        _precision(report, kind, crops)
    real = [(one, two) for one, two in combinations(crops, 2) if crops[one].is_copy_of(crops[two])]
    group = {each.name: each.other for each in report.of("duplicate")}
    covered = sum(one in group or two in group for one, two in real)
    _say(f"  of {len(real)} pairs that are copies {covered} have one that is told")


def _precision(report: Report, kind: str, crops: dict[str, Crop]) -> None:
    found = [each for each in report.findings if each.kind == kind]
    real = [crops[each.name].shared(crops[each.other]) for each in found]
    right = sum(share >= SHARE for share in real)
    errors = [abs(share - (each.overlap or 0)) for share, each in zip(real, found, strict=True)]
    if found:
        _say(
            f"  {kind}: {right} of {len(found)} share {SHARE:.0%} and more, {right / len(found):.3f}; at worst "
            f"{min(real):.3f}; told with an error of {np.mean(errors):.4f}, at most {max(errors):.4f}"
        )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
