"""How good the micro tagger is on pictures of combinations that training has not seen.

`python -m training.evaluate_tagger` adds the measures on the test pictures to the measures file, once per trained
weights: everything that can be chosen is chosen on the validation pictures.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from unrender.core.micro import MEASURES_FILE, TAGGER_FOLDER
from unrender.core.micro.pictures import Pictures, render
from unrender.core.micro.tags import tags_of
from unrender.core.micro.world import Scene

CHUNK = 250
THRESHOLDS = {"0": 0.35, "4": 0.85}
"""As published of the wd taggers: of general tags and of characters, by the category's number."""


@torch.inference_mode()
def confidences(folder: Path, pixels: torch.Tensor) -> torch.Tensor:
    """(pictures, tags) of uint8 RGB pixels (n, 3, 64, 64), as any user of timm would have them."""
    model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval().float()
    parts = [model((some.flip(1).float() / 255 - 0.5) / 0.5).sigmoid() for some in pixels.split(CHUNK)]
    return torch.cat(parts)


def measure_tagger(folder: Path, pictures: Pictures) -> dict[str, Any]:
    with (folder / "selected_tags.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = confidences(folder, pictures.pixels)
    column = {row["name"]: number for number, row in enumerate(rows)}
    true = torch.zeros(found.shape, dtype=torch.bool)
    for row, scene in zip(true, pictures.scenes, strict=True):
        row[[column[name] for names in tags_of(scene).values() for name in names]] = True
    columns = {number: [c for c, row in enumerate(rows) if row["category"] == number] for number in ("0", "4", "9")}
    measures: dict[str, Any] = {"pictures": len(pictures.scenes)}
    for what, number in (("general", "0"), ("character", "4")):
        chosen = columns[number]
        measures[what] = _scores(found[:, chosen] >= THRESHOLDS[number], true[:, chosen])
        measures[what]["threshold"] = THRESHOLDS[number]
    likeliest = found[:, columns["9"]].argmax(1)
    measures["rating"] = round(float((likeliest == true[:, columns["9"]].int().argmax(1)).float().mean()), 4)
    measures["true_values"] = _true_values(found, column, pictures.scenes)
    return measures


def _scores(said: torch.Tensor, true: torch.Tensor) -> dict[str, float]:
    right = int((said & true).sum())
    precision, recall = right / max(1, int(said.sum())), right / max(1, int(true.sum()))
    return {
        "f1": round(2 * precision * recall / max(1e-9, precision + recall), 4),
        "precision": round(precision, 4),
        "recall": round(recall, 4),
    }


def _true_values(found: torch.Tensor, column: dict[str, int], scenes: Sequence[Scene]) -> dict[str, float]:
    """Share of pictures whose true value's first tag is likelier than those of the factor's other values, for the
    factors whose values have one tag each."""
    shares = {}
    for factor in ("shape", "colour"):
        values = sorted({scene.value(factor) for scene in scenes})
        best = found[:, [column[value] for value in values]].argmax(1).tolist()
        right = [values[index] == scene.value(factor) for index, scene in zip(best, scenes, strict=True)]
        shares[factor] = round(sum(right) / len(right), 4)
    return shares


def note(training: dict[str, Any] | None = None, test: dict[str, Any] | None = None) -> None:
    """Into the measures file: of a training, which makes what was measured of earlier weights void, or of the test."""
    measures = json.loads(MEASURES_FILE.read_text(encoding="utf-8"))
    if training is not None:
        measures["tagger"] = training
    if test is not None:
        measures["tagger"]["test"] = test
    MEASURES_FILE.write_text(json.dumps(measures, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    if "test" in json.loads(MEASURES_FILE.read_text(encoding="utf-8"))["tagger"]:
        raise SystemExit(f"{MEASURES_FILE} already holds the test measures of these weights.")
    note(test=measure_tagger(TAGGER_FOLDER, render("test", 2000)))


if __name__ == "__main__":
    main()
