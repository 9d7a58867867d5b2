"""What moving pictures show, on micro: whether what was asked for is read in them.

    python benchmarks/moving.py optimise [--count 50] [--ways latent pixels cppn] [--begun]
    python benchmarks/moving.py animate|directions [--count 50] [--split test]
    python benchmarks/moving.py pieces [--count 2]
    python benchmarks/moving.py sheet

`optimise`: prompts on all six factors, in wordings that training used; the judge of the split (testing on test
pictures) reads them in the picture that `unrender optimise` ends with, in each way, beside what the checkpoint renders
of the prompt and nothing else. `animate`: a text of 20 such lines, walked; what is read in each line's own frame.
`directions`: pictures, one factor of each moved from its word to another's; how often the new one is read, and the
share of the others that stay. `pieces`: contact sheets of 64 pictures; each one's caption, and what `interrogate`
finds for it in mode fast, are looked for in the whole sheet; found is where the middle of the first box is on it.
`sheet`: moving.png, which docs/moving.md shows. What was read is kept in `benchmarks/logs/moving.json`, a part for each
of these, and for other counts. Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from unrender.core.clip import Clip
from unrender.core.drawing.panels import Panel, draw_panels
from unrender.core.embed.direction import Direction
from unrender.core.engine import Engine, Settings
from unrender.core.micro.captions import ALL_FACTORS, bare_phrases, caption
from unrender.core.micro.drawing import draw
from unrender.core.micro.pictures import Pictures, render
from unrender.core.micro.world import FACTORS, Scene
from unrender.core.moving.animation import Animation, animate
from unrender.core.moving.film import Film
from unrender.core.moving.frames import Frames
from unrender.core.moving.optimise import WAYS, By, Plan
from unrender.core.moving.optimising import Optimisation, optimised
from unrender.core.moving.script import Line
from unrender.core.variation.checkpoint import Checkpoint
from unrender.core.variation.render import Sampling, render_together
from unrender.core.variation.variations import Request, negative_embedding, variations
from unrender.core.verify.statistics import estimate
from unrender.training.judges import load_judge, read_factors

LOG = Path(__file__).with_name("logs") / "moving.json"
STEPS, GUIDANCE = 20, 3.0
AMOUNTS = (0.5, 0.7, 1.0, 1.5)


class World:
    """Pictures of a split, a prompt for each, and the models."""

    def __init__(self, split: Any, count: int) -> None:
        self.pictures: Pictures = render(split, count)
        rng = random.Random("moving")
        self.texts = [caption(scene, rng, ALL_FACTORS).text for scene in self.pictures.scenes]
        self.clip = Clip.load("micro", "cpu")
        settings = Settings(clip="micro", captioner="micro", device="cpu")
        self.engine = Engine(settings, load_clip=lambda _: self.clip)
        self.checkpoint = Checkpoint.load("micro", "cpu")
        self._judge = load_judge("testing" if split == "test" else "selecting")

    def images(self) -> list[Image.Image]:
        return [Image.fromarray(each.permute(1, 2, 0).numpy()) for each in self.pictures.pixels]

    def read(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Indices of the factors' values [pictures, 6]."""
        pixels = torch.from_numpy(np.stack([np.asarray(each.convert("RGB")) for each in images]))
        return read_factors(self._judge, pixels.permute(0, 3, 1, 2)).numpy()

    def hits(self, images: Sequence[Image.Image]) -> np.ndarray:
        """[pictures, 6], whether each of a picture's factors is read."""
        return (self.read(images) == self.pictures.labels.numpy()[: len(images)]).astype(float)


def measure_optimise(split: str, count: int, ways: Sequence[By], begun: bool = False) -> dict[str, Any]:
    """begun: with the picture of another prompt, where a way can begin with one."""
    world = World(split, count)
    embeddings = [world.engine.embed_text(text, "micro") for text in world.texts]
    negative = negative_embedding(world.engine, world.checkpoint)
    found: dict[str, Any] = {}
    rendered = render_together(
        world.checkpoint, embeddings, negative, Sampling(STEPS, GUIDANCE), list(range(count)), None
    )
    target = world.engine.text_features(world.texts)
    likeness = (world.engine.picture_features(rendered) * target).sum(-1).numpy()
    found["rendered"] = rates(world.hits(rendered)) | {"similarity": rounded(likeness)}
    for by in ways:
        started, last, ends = time.perf_counter(), [], []
        for number, text in enumerate(world.texts):
            init = world.images()[(number + 1) % count] if begun else None
            asked = Optimisation(text, by, Plan(seed=number), Sampling(STEPS, GUIDANCE, number), init)
            with tempfile.TemporaryDirectory() as folder:
                frames = Frames(Path(folder))
                steps = optimised(world.engine, world.checkpoint, asked, frames)
                with Image.open(frames.place(len(steps) - 1)) as picture:
                    last.append(picture.convert("RGB"))
            ends.append(steps[-1][1])
        seconds = (time.perf_counter() - started) / count
        name = f"{by}, from another picture" if begun else by
        found[name] = rates(world.hits(last)) | {"similarity": rounded(np.array(ends)), "seconds": round(seconds, 1)}
        print(name, found[name], flush=True)
        sheet(last[:32]).save(Path(tempfile.gettempdir()) / f"optimise-{by}.png")
    return found


def measure_animate(split: str, count: int) -> dict[str, Any]:
    world, read = World(split, count), []
    animation = Animation(
        [Line(text) for text in world.texts], frames=2, sampling=Sampling(STEPS, GUIDANCE), lettered=False
    )
    with tempfile.TemporaryDirectory() as folder:
        film = Film(Path(folder))
        animate(world.engine, world.checkpoint, animation, film)
        for line in range(count):
            with Image.open(film.frames.place(animation.walk.own(line))) as frame:
                read.append(frame.convert("RGB"))
    return {"lines": count} | rates(world.hits(read))


def measure_directions(split: str, count: int) -> dict[str, Any]:
    world, rng, names = World(split, count), random.Random("directions"), list(FACTORS)
    edits = []
    for scene in world.pictures.scenes:
        factor = rng.choice(names)
        edits.append((factor, rng.choice([value for value in FACTORS[factor] if value != scene.value(factor)])))
    found: dict[str, Any] = {}
    for quality in ("good", "best"):
        made: dict[float, list[Image.Image]] = {amount: [] for amount in AMOUNTS}
        for image, scene, (factor, value) in zip(world.images(), world.pictures.scenes, edits, strict=True):
            words = [bare_phrases(factor, each)[0] for each in (scene.value(factor), value)]
            request = Request(
                [image],
                sampling=Sampling(STEPS, GUIDANCE),
                quality=quality,
                direction=Direction(*words),
                amounts=AMOUNTS,
            )
            for each in variations(world.engine, world.checkpoint, request):
                made[each.amount or 0.0].append(each.image)
        for amount, images in made.items():
            read, changed, kept = world.read(images), [], []
            for row, truth, (factor, value) in zip(read, world.pictures.labels.numpy(), edits, strict=True):
                place = names.index(factor)
                changed.append(float(row[place] == FACTORS[factor].index(value)))
                kept.append(float((np.delete(row, place) == np.delete(truth, place)).mean()))
            found[f"{quality}, {amount:g}"] = {"changed": rounded(np.array(changed)), "kept": rounded(np.array(kept))}
            print(quality, amount, found[f"{quality}, {amount:g}"], flush=True)
    return found


def measure_pieces(split: str, count: int) -> dict[str, Any]:
    """With gutters between the pictures, and without."""
    world, found = World(split, 64 * count), {}
    images = world.images()
    words = [each.prompt for each in world.engine.interrogate_each(images, "fast")]
    for gap in (0, 10):
        for name, phrases in (("caption", world.texts), ("interrogated", words)):
            hits = []
            for first in range(0, len(images), 64):
                whole, places = gapped(images[first : first + 64], gap)
                for each, place in zip(world.engine.find(whole, phrases[first : first + 64], [8]), places, strict=True):
                    box = each.boxes[0]
                    x, y = (box.left + box.right) / 2, (box.top + box.bottom) / 2
                    hits.append(float(place[0] <= x < place[0] + 64 and place[1] <= y < place[1] + 64))
            found[f"{name}, {gap} pixels between"] = rounded(np.array(hits))
            print(name, gap, np.mean(hits), flush=True)
    return {"pictures": len(images), **found}


def gapped(images: Sequence[Image.Image], gap: int) -> tuple[Image.Image, list[tuple[int, int]]]:
    """Eight in a row on white, and where each begins."""
    side = 64 + gap
    whole = Image.new("RGB", (8 * side + gap, -(-len(images) // 8) * side + gap), "white")
    places = [(gap + number % 8 * side, gap + number // 8 * side) for number in range(len(images))]
    for each, place in zip(images, places, strict=True):
        whole.paste(each, place)
    return whole, places


def drawn() -> Image.Image:
    """Some frames of a walk, a direction by its amounts, and steps of what is optimised, as docs/moving.md shows it."""
    world = World("validation", 1)
    lines = ("a large red star in a meadow, an oil painting", "a large blue heart at sunset, an oil painting")
    panels = []
    with tempfile.TemporaryDirectory() as folder:
        asked = Animation([Line(text) for text in lines], 8, sampling=Sampling(STEPS, GUIDANCE), lettered=False)
        film = Film(Path(folder) / "film")
        animate(world.engine, world.checkpoint, asked, film)
        labels = [lines[0], "a quarter of the way", "half way", "three quarters", lines[1]]
        for frame, label in zip(range(0, 9, 2), labels, strict=True):
            panels.append(Panel(opened(film.frames.place(frame)), label))
        star = panels[0].picture
        asked_of = Request(
            [star],
            sampling=Sampling(STEPS, GUIDANCE),
            quality="good",
            direction=Direction("in a meadow", "at night"),
            amounts=(0, 0.25, 0.5, 1, 1.5),
        )
        for each in variations(world.engine, world.checkpoint, asked_of):
            panels.append(Panel(each.image, f"from day to night, {each.amount:g}"))
        optimisation = Optimisation(lines[0], "latent", Plan(60), Sampling(STEPS, GUIDANCE), image_of_a_cross())
        frames = Frames(Path(folder) / "steps")
        steps = optimised(world.engine, world.checkpoint, optimisation, frames)
        for number in np.linspace(0, len(steps) - 1, 5).round().astype(int):
            step, similarity = steps[number]
            panels.append(Panel(opened(frames.place(int(number))), f"step {step}, similarity {similarity:.2f}"))
    return draw_panels(panels, columns=5)


def image_of_a_cross() -> Image.Image:
    """To begin with, where something else is asked for."""
    return draw(Scene("cross", "purple", "large", "sea", "oil", "none"), 1)[0]


def opened(path: Path) -> Image.Image:
    with Image.open(path) as picture:
        return picture.convert("RGB")


def rates(hits: np.ndarray) -> dict[str, Any]:
    by_factor = dict(zip(FACTORS, hits.mean(axis=0).round(4).tolist(), strict=True))
    return {"pictures": len(hits), "read": rounded(hits.mean(axis=1)), "factors": by_factor}


def rounded(by_picture: np.ndarray) -> list[float]:
    return [round(each, 4) for each in estimate(by_picture)]


def sheet(images: Sequence[Image.Image], columns: int = 8) -> Image.Image:
    """Side by side without gaps."""
    width, height = images[0].size
    made = Image.new("RGB", (columns * width, -(-len(images) // columns) * height))
    for number, each in enumerate(images):
        made.paste(each, (number % columns * width, number // columns * height))
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("optimise", "animate", "directions", "pieces", "sheet"))
    parser.add_argument("--count", type=int, help="of prompts, lines, pictures or sheets")
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="of optimise")
    parser.add_argument("--begun", action="store_true", help="optimise begins with another picture")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "sheet":
        drawn().save("moving.png", optimize=True)
        return
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "optimise": lambda: measure_optimise(options.split, options.count or 50, options.ways, options.begun),
        "animate": lambda: measure_animate(options.split, options.count or 20),
        "directions": lambda: measure_directions(options.split, options.count or 50),
        "pieces": lambda: measure_pieces(options.split, options.count or 2),
    }
    found = measures[options.what]()
    kept = json.loads(LOG.read_text("utf-8")) if LOG.exists() else {}
    part = options.what if options.count is None else f"{options.what}, {options.count}"
    kept.setdefault(part, {}).update({"split": options.split, **found})
    LOG.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
