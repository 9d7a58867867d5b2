"""What tuning on pictures gives, on micro: of one domain, and of single pictures.

    python benchmarks/tuning.py choose --out FOLDER [--pictures 60] [--rates 1e-4 1e-3] [--steps 400]
    python benchmarks/tuning.py domain --out FOLDER [--pictures 300] [--rate 1e-3] [--steps 1000]
    python benchmarks/tuning.py online --out FOLDER [--pictures 40] [--rate 1e-3] [--steps 30]

A domain is one style; 100 training pictures of it are learned from, and validation (`choose`) or test pictures (the
others) are rendered and read by the judge of that split: how many of the six factors are found again, beside pinv,
ridge and a soft prompt, for pictures of the domain and of all others. `online`: each test picture is tuned on by
itself; read are the factors, how near the rendering comes to the picture (`looks.Looks`), and an edit by text, in the
words of the true caption with one factor changed. Intervals are bootstrapped by picture. Not a test: nothing is
asserted.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fidelity import Bench, images_of
from unrender.core.embed import PromptEmbedding
from unrender.core.embed.blend import Blend
from unrender.core.micro.captions import ALL_FACTORS, caption
from unrender.core.micro.pictures import Pictures, drawn
from unrender.core.micro.world import FACTORS, Split, random_scene
from unrender.core.tuning.course import DOMAIN, ONLINE, Course
from unrender.core.tuning.domain import tune_domain
from unrender.core.tuning.online import tune_online
from unrender.core.variation.lora import Lora
from unrender.core.verify.statistics import Estimate, difference, estimate

GUIDANCE, CUT = 3.0, 0.6  # by validation, as in fidelity.py
LEARNED = 100
FACTOR = "style"
FIRST_SEED = {"train": 7 * 10**8, "validation": 8 * 10**8, "test": 9 * 10**8}

log = logging.getLogger("tuning")


def pictures_of(split: Split, value: str, count: int, inside: bool = True) -> Pictures:
    """Of the domain, or of all others; drawn with seeds that no other set has."""
    rng = random.Random(f"tuning {split} {value} {inside}")
    scenes = []
    while len(scenes) < count:
        scene = random_scene(rng, split)
        if (scene.value(FACTOR) == value) == inside:
            scenes.append(scene)
    return drawn(scenes, FIRST_SEED[split] + (0 if inside else 10**6))


class Kept:
    """What was read, by name, so that a run that was stopped goes on: hits [pictures, 6], near [pictures, 2]."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, name: str, bench: Bench, make: Callable[[], Sequence[PromptEmbedding]]) -> dict[str, np.ndarray]:
        file = self._folder / f"{name.replace(', ', ' ').replace(' ', '-').replace('/', '-')}.npz"
        if not file.exists():
            started = time.process_time()
            made = make()
            found, near = bench.looked_at(made, GUIDANCE, (0,))
            np.savez(file, hits=bench.hits_of(found), near=near.mean(axis=1), found=found)
            log.info("%s: %.0f s", name, time.process_time() - started)
        with np.load(file) as kept:
            values = {key: kept[key].copy() for key in kept.files}
        log.info("%s: %.4f %s", name, values["hits"].mean(), values["hits"].mean(axis=0).round(3).tolist())
        return values


def tuned(bench: Bench, path: Path) -> list[PromptEmbedding]:
    return [bench.engine.embed(image, "micro", f"tuned:{path}") for image in images_of(bench.pictures)]


def learn(bench: Bench, value: str, course: Course, path: Path) -> dict[str, Any]:
    """Tunes where that was not done yet."""
    log_file = path.with_suffix(".json")
    if not log_file.exists():
        images = images_of(pictures_of("train", value, LEARNED))
        told: list[Any] = []
        started = time.process_time()
        made = tune_domain(
            bench.engine,
            bench.checkpoint,
            images,
            path,
            course,
            report=lambda each: told.append([each.step, each.loss, each.value, each.untuned]),
        )
        seconds = time.process_time() - started
        log_file.write_text(json.dumps({"seconds": seconds, "best at": made.steps, "looks": told}, indent=1), "utf-8")
    return json.loads(log_file.read_text("utf-8"))


def choose(options: argparse.Namespace) -> dict[str, Any]:
    bench = Bench(pictures_of("validation", options.value, options.pictures), {}, "selecting", "micro")
    kept = Kept(options.out / "choose")
    base = kept.read("pinv", bench, lambda: bench.pinv(CUT))["hits"]
    report: dict[str, Any] = {"pinv": rounded(estimate(base.mean(axis=1)))}
    for rate in options.rates:
        course = replace(DOMAIN, rate=rate, steps=options.steps, batch=options.batch)
        name = f"{options.value} {rate:g} {options.steps} {options.batch}"
        path = options.out / f"{name.replace(' ', '-')}.safetensors"
        learning = learn(bench, options.value, course, path)
        hits = kept.read(name, bench, lambda path=path: tuned(bench, path))["hits"]
        report[name] = {
            "mean": rounded(estimate(hits.mean(axis=1))),
            "factors": by_factor(hits),
            "over pinv": rounded(difference(hits.mean(axis=1), base.mean(axis=1))),
            "learning": learning,
        }
    return report


def domain(options: argparse.Namespace) -> dict[str, Any]:
    report: dict[str, Any] = {"domain": options.value, "learned from": LEARNED}
    course = replace(DOMAIN, rate=options.rate, steps=options.steps, batch=options.batch)
    path = options.out / f"{options.value}.safetensors"
    for place, count in (("inside", options.pictures), ("outside", options.pictures // 3)):
        pictures = pictures_of("test", options.value, count, place == "inside")
        bench = Bench(pictures, {}, "testing", "micro")
        report["learning"] = learn(bench, options.value, course, path)
        kept = Kept(options.out / place)
        ways: dict[str, Callable[[], Sequence[PromptEmbedding]]] = {
            "tuned": lambda bench=bench: tuned(bench, path),
            "pinv": lambda bench=bench: bench.pinv(CUT),
            "pinv, as it is used": lambda bench=bench: bench.projected("pinv", Blend()),
            "ridge": lambda bench=bench: bench.projected("ridge", Blend()),
            "soft": lambda bench=bench: bench.projected("soft", Blend(anchor="")),
            "true caption": lambda bench=bench: bench.of_texts(bench.known_captions),
        }
        read = {name: kept.read(name, bench, make) for name, make in ways.items()}
        own = read["tuned"]
        report[place] = {"pictures": count} | {
            name: {
                "mean": rounded(estimate(each["hits"].mean(axis=1))),
                "factors": by_factor(each["hits"]),
                "tuned over it": rounded(difference(own["hits"].mean(axis=1), each["hits"].mean(axis=1))),
                "similarity": rounded(estimate(each["near"][:, 0])),
                "distance": rounded(estimate(each["near"][:, 1])),
            }
            for name, each in read.items()
        }
    return report


def online(options: argparse.Namespace) -> dict[str, Any]:
    """Rendered with seeds that were not learned with; an edit changes one factor in the words of the true caption."""
    split: Split = options.split
    scenes = [random_scene(random.Random(f"online {number}"), split) for number in range(options.pictures)]
    pictures = drawn(scenes, FIRST_SEED[split] + 5 * 10**7)
    bench = Bench(pictures, {}, "testing" if split == "test" else "selecting", "micro")
    course = replace(ONLINE, rate=options.rate, steps=options.steps, batch=options.batch)
    folder = options.out / f"online-{split}"
    kept = Kept(folder)
    soft = bench.projected("soft", Blend(anchor=""))
    plain = kept.read("plain", bench, lambda: soft)
    texts = [_edited(bench, number) for number in range(len(soft))]
    edits = bench.of_texts(texts)
    edited = kept.read("edit, plain", bench, lambda: edits)
    rows: dict[str, list[np.ndarray]] = {"hits": [], "near": [], "edits": []}
    spent = []
    for number, image in enumerate(images_of(pictures)):
        place = folder / f"{number}-{options.rate:g}-{options.steps}.safetensors"
        if not place.exists():
            started = time.process_time()
            tune_online(
                bench.engine, bench.checkpoint, [image], place, course, projection="soft", blend=Blend(anchor="")
            )
            spent.append(time.process_time() - started)
        with Lora.load(place).applied(bench.checkpoint.pipeline.unet, str(place)):
            found, near = bench.looked_at([soft[number]], GUIDANCE, (0,), 0, [number])
            changed, _ = bench.looked_at([edits[number]], GUIDANCE, (0,), 0, [number])
        truth = pictures.labels.numpy()[number]
        rows["hits"].append((found[0, 0] == truth).astype(float))
        rows["near"].append(near[0, 0])
        rows["edits"].append(changed[0])
    return _online_report(bench, plain, edited, {name: np.stack(each) for name, each in rows.items()}, spent)


def _edited(bench: Bench, number: int) -> str:
    scene, edit = bench.pictures.scenes[number], bench.edits[number]
    changed = replace(scene, **{edit.factor: edit.value})
    return caption(changed, random.Random(f"edit {number}"), ALL_FACTORS).text


def _online_report(
    bench: Bench, plain: dict[str, np.ndarray], edited: dict[str, np.ndarray], rows: dict[str, np.ndarray], spent: list
) -> dict[str, Any]:
    changed, kept = bench.edit_rates_of(rows["edits"])
    before, others = bench.edit_rates_of(edited["found"])
    return {
        "pictures": len(rows["hits"]),
        "factors": rounded(estimate(rows["hits"].mean(axis=1))),
        "factors over untuned": rounded(difference(rows["hits"].mean(axis=1), plain["hits"].mean(axis=1))),
        "similarity over untuned": rounded(difference(rows["near"][:, 0], plain["near"][:, 0])),
        "distance over untuned": rounded(difference(rows["near"][:, 1], plain["near"][:, 1])),
        "distance, untuned": rounded(estimate(plain["near"][:, 1])),
        "edit: changed": rounded(estimate(changed)),
        "edit: kept": rounded(estimate(kept)),
        "edit, untuned: changed": rounded(estimate(before)),
        "edit, untuned: kept": rounded(estimate(others)),
        "seconds a picture": round(float(np.median(spent)), 2) if spent else None,
    }


def by_factor(hits: np.ndarray) -> dict[str, float]:
    return dict(zip(FACTORS, hits.mean(axis=0).round(4).tolist(), strict=True))


def rounded(value: Estimate) -> list[float]:
    return [round(part, 4) for part in value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("choose", "domain", "online"))
    parser.add_argument("--value", default="watercolor", help="the style that is the domain (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-4, 1e-3])
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="for online")
    parser.add_argument("--rate", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/tuning"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    torch.set_num_threads(options.threads)
    usual = ONLINE if options.what == "online" else DOMAIN
    options.rate, options.steps = options.rate or usual.rate, options.steps or usual.steps
    options.batch = options.batch or usual.batch
    options.out.mkdir(parents=True, exist_ok=True)
    report = {"choose": choose, "domain": domain, "online": online}[options.what](options)
    name = f"online-{options.split}-{options.rate:g}-{options.steps}" if options.what == "online" else options.what
    (options.out / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    log.info("%s", json.dumps(report))


if __name__ == "__main__":
    main()
