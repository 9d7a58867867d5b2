"""What search and curation find of what was planted in a folder of micro's pictures, and in one of crops.

`python benchmarks/curation.py` uses validation pictures, with which everything was chosen that can be; `--split test`
shows what comes of it on the others. `--crops N` has crops of photographs instead, and frames as a camera takes them
one after another (`curation_crops.py`). Needs the packages that the tests need, for photographs.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from curation_crops import measure_crops
from PIL import Image
from unrender.core.curate import Report, curate
from unrender.core.curate.turned import turned_pictures
from unrender.core.engine import Engine, Settings
from unrender.core.index import PictureIndex, read_index, search, update_index
from unrender.core.micro.captions import ALL_FACTORS, caption
from unrender.core.micro.pictures import Pictures, render

WITH_UP = ("meadow", "sea", "desert", "sunset")
COPIES = ("same", "compressed", "resized", "cropped", "all three")
PLANTINGS, TURNED_SHARE, WRONG_CAPTIONS = 20, 0.05, 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--copies", type=int, default=20, help="of each kind (default: 20)")
    parser.add_argument("--crops", type=int, metavar="N", help="curate N crops of photographs instead")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.crops:
        measure_crops(options.crops, options.split)
        return
    pictures = render(options.split, options.pictures)
    with tempfile.TemporaryDirectory() as place, Engine(Settings(clip="micro", device="cpu", captioner=None)) as engine:
        folder, rng = Path(place), random.Random(0)
        copies = _plant(folder, pictures, options.copies, rng)
        wrong = _write_captions(folder, pictures, rng)
        index = update_index(engine, folder).index
        _say(f"{options.split}: {options.pictures} pictures, {len(index)} with what was planted")
        _search(engine, index, pictures)
        report = curate(engine, folder)
        _duplicates(report, copies, pictures)
        _outliers(report)
        _captions(report, wrong)
        _turned(read_index(folder), pictures)


def _plant(folder: Path, pictures: Pictures, of_each: int, rng: random.Random) -> dict[str, int]:
    """Writes all pictures, copies and photographs. Returns whose copy each copy is."""
    from skimage import data

    images = [Image.fromarray(pixels.permute(1, 2, 0).numpy()) for pixels in pictures.pixels]
    for row, image in enumerate(images):
        image.save(folder / f"{row}.png")
    copies = {}
    for number, row in enumerate(rng.sample(range(len(images)), of_each * len(COPIES))):
        kind = COPIES[number % len(COPIES)]
        name = f"{kind} {row}.png"
        _copy(images[row], kind, rng).save(folder / name)
        copies[name] = row
    for name in ("astronaut", "brick", "cat", "coins"):
        Image.fromarray(getattr(data, name)()).convert("RGB").save(folder / f"photograph {name}.png")
    return copies


def _copy(image: Image.Image, kind: str, rng: random.Random) -> Image.Image:
    if kind in ("cropped", "all three"):
        side = (rng.uniform(0.75, 0.95)) ** 0.5
        width, height = round(image.width * side), round(image.height * side)
        left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
        image = image.crop((left, top, left + width, top + height))
    if kind in ("resized", "all three"):
        factor = rng.choice((0.75, 1.5, 2.0, 3.0))
        size = round(image.width * factor), round(image.height * factor)
        image = image.resize(size, Image.Resampling.LANCZOS)
    if kind in ("compressed", "all three"):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=rng.randint(60, 90))
        image = Image.open(buffer).convert("RGB")
    return image


def _write_captions(folder: Path, pictures: Pictures, rng: random.Random) -> set[str]:
    """Beside each picture, some exchanged. Returns the pictures whose captions are wrong."""
    texts = [caption(scene, rng) for scene in pictures.scenes]
    exchanged = rng.sample(range(len(texts)), round(WRONG_CAPTIONS * len(texts)))
    owners = list(range(len(texts)))
    for row, other in zip(exchanged, exchanged[1:] + exchanged[:1], strict=True):
        owners[row] = other
    wrong = set()
    for row, owner in enumerate(owners):
        (folder / f"{row}.txt").write_text(texts[owner].text)
        scene, other = pictures.scenes[row], pictures.scenes[owner]
        if any(scene.value(factor) != other.value(factor) for factor in texts[owner].factors):
            wrong.add(f"{row}.png")
    return wrong


def _search(engine: Engine, index: PictureIndex, pictures: Pictures) -> None:
    """Among the pictures alone, without their copies."""
    rows = [row for row, entry in enumerate(index.entries) if entry.name[:-4].isdecimal()]
    numbers = [int(index.entries[row].name[:-4]) for row in rows]
    rng = random.Random(0)
    texts = [caption(scene, rng, ALL_FACTORS).text for scene in pictures.scenes]
    alone = index.features[rows]
    right = 0
    for scene, features in zip(pictures.scenes, engine.text_features(texts).numpy(), strict=True):
        right += pictures.scenes[numbers[int((alone @ features).argmax())]] == scene
    _say(f"search: {right / len(texts):.3f} of {len(texts)} captions find a picture with their six factors first")
    first = search(index, index.features[rows[0]], 1)[0]
    assert first.similarity > 0.999


def _duplicates(report: Report, copies: dict[str, int], pictures: Pictures) -> None:
    found = {frozenset((each.name, each.other)) for each in report.of("duplicate")}
    first = {each.name: each.other for each in report.of("duplicate")}  # of each group, whichever picture that is
    hit = {name: first.get(name, name) == first.get(f"{row}.png", f"{row}.png") for name, row in copies.items()}
    for kind in COPIES:
        of_kind = [was for name, was in hit.items() if name.startswith(kind)]
        _say(f"duplicates, {kind}: {sum(of_kind)} of {len(of_kind)} found")
    others = found - {frozenset((name, f"{row}.png")) for name, row in copies.items()}
    rows = [[int("".join(filter(str.isdecimal, name)) or -1) for name in pair] for pair in others]
    alike = sum(pictures.scenes[one] == pictures.scenes[other] for one, other in rows)
    _say(f"duplicates, not planted: {len(others)}, {alike} of them with the same six factors")


def _outliers(report: Report) -> None:
    found = [each.name for each in report.of("outlier")]
    photographs = sum(name.startswith("photograph") for name in found)
    _say(f"outliers: {photographs} of 4 photographs found, {len(found) - photographs} others")


def _captions(report: Report, wrong: set[str]) -> None:
    found = {each.name for each in report.of("caption")}
    _say(f"captions: {len(found & wrong)} of {len(wrong)} wrong ones found, {len(found - wrong)} others")


def _turned(index: PictureIndex, pictures: Pictures) -> None:
    """Embeddings of all four turns are known: planting is to begin with another of them."""
    rows = [row for row, entry in enumerate(index.entries) if entry.name[:-4].isdecimal()]
    scenes = [pictures.scenes[int(index.entries[row].name[:-4])] for row in rows]
    views = np.concatenate([index.features[rows, None].astype(np.float16), index.turned[rows]], axis=1)
    counts: Counter[tuple[str, str]] = Counter()
    for number in range(PLANTINGS):
        random_numbers = np.random.default_rng(number)
        lying = np.where(random_numbers.random(len(rows)) < TURNED_SHARE, random_numbers.integers(1, 4, len(rows)), 0)
        planted = np.take_along_axis(views, ((lying[:, None] + np.arange(4)) % 4)[..., None], axis=1)
        found = {each.row: each.left for each in turned_pictures(planted)}
        for row, turn in enumerate(lying):
            place = scenes[row].background
            for group in {place, "with an up" if place in WITH_UP else "without"}:
                what = "turned" if turn else "upright"
                counts[group, what] += 1
                counts[group, f"{what} flagged"] += row in found
                counts[group, "right turn"] += bool(turn) and found.get(row) == 90 * int((4 - turn) % 4)
    for group in ("with an up", *WITH_UP, "without"):
        turned, upright = counts[group, "turned"], counts[group, "upright"]
        _say(
            f"turned, {group}: {counts[group, 'turned flagged'] / turned:.3f} of {turned} found, "
            f"{counts[group, 'right turn'] / turned:.3f} with the right turn, "
            f"false alarms {counts[group, 'upright flagged'] / upright:.4f} of {upright}"
        )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
