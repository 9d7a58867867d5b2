"""Whether the prompt whose renderings another network finds nearest beats the prompt of any one search, on micro.

    python benchmarks/choosing.py --pictures 80 --out FOLDER

Each way's prompts of validation pictures are rendered twice: at few steps, for the eyes that choose among the first N
ways, and at more steps with other noise, for the judge that selects settings, which reads the six factors. A picture's
score is the share that it reads rightly; intervals are bootstrapped by picture, differences are to the best single way.
What was rendered for the choice is kept in FOLDER, for other eyes.

Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from unrender.core.engine import Engine
from unrender.core.micro.pictures import Pictures, render
from unrender.core.settings import Settings
from unrender.core.variation.checkpoint import Checkpoint
from unrender.core.variation.render import Sampling, render_together
from unrender.core.verify.asked import SEEDS, STEPS
from unrender.core.verify.choosing import WAYS
from unrender.core.verify.eyes import load_judge
from unrender.core.verify.statistics import difference, estimate
from unrender.training.judges import load_judge as load_reader
from unrender.training.judges import read_factors

GUIDANCE, STEPS_TO_READ = 3.0, 10
EYES = ("micro-tagger", "micro")
"""The second is the CLIP that searched."""

log = logging.getLogger("choosing")


def find_prompts(images: Sequence[Image.Image], ways: Sequence[str]) -> dict[str, list[str]]:
    found = {}
    for way in ways:
        mode, search = WAYS[way]
        settings = Settings(clip="micro", captioner="micro", device="cpu", search=search or "peer")
        with Engine(settings) as engine:
            found[way] = [each.prompt for each in engine.interrogate_each(images, mode)]
        log.info("%s: %s", way, found[way][0])
    return found


class Renderer:
    def __init__(self) -> None:
        self.checkpoint = Checkpoint.load("micro", "cpu")
        self.engine = Engine(Settings(clip="micro", captioner=None, device="cpu"))
        self.negative = self.engine.embed_text("", "micro")

    def render(self, prompts: Sequence[str], steps: int, seeds: Sequence[int]) -> np.ndarray:
        """[pictures, 64, 64, 3]"""
        embeddings = [self.engine.embed_text(prompt, "micro") for prompt in prompts]
        sampling = Sampling(steps, GUIDANCE)
        return np.stack([np.asarray(each) for each in self._made(embeddings, sampling, seeds)])

    def _made(self, embeddings: Sequence, sampling: Sampling, seeds: Sequence[int]) -> list[Image.Image]:
        return render_together(self.checkpoint, embeddings, self.negative, sampling, seeds)


def hits(rendered: np.ndarray, pictures: Pictures) -> np.ndarray:
    """The share of factors that the judge reads rightly [pictures]."""
    pixels = torch.from_numpy(rendered).permute(0, 3, 1, 2)
    return (read_factors(load_reader("selecting"), pixels) == pictures.labels).float().mean(1).numpy()


def likeness(eye: str, images: Sequence[Image.Image], rendered: Mapping[str, np.ndarray]) -> np.ndarray:
    """[ways, pictures]: as `choose_by_rendering` has it."""
    judge = load_judge(eye, Settings(clip="micro", captioner=None, device="cpu"))
    own = judge.encode_images(images)
    rows = []
    for each in rendered.values():  # [seeds, pictures, 64, 64, 3]
        by_seed = [judge.encode_images([Image.fromarray(one) for one in some]) for some in each]
        rows.append(torch.stack([(seen * own).sum(1) for seen in by_seed]).mean(0).numpy())
    return np.stack(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pictures", type=int, default=80)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--readings", type=int, default=2, help="renderings of a prompt that the judge reads")
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--out", type=Path, default=Path("runs/choosing"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    pictures, count = render("validation", options.pictures), options.pictures
    images = [Image.fromarray(each.permute(1, 2, 0).numpy()) for each in pictures.pixels]
    prompts, renderer = find_prompts(images, options.ways), Renderer()
    shown, read = {}, []
    for way, texts in prompts.items():
        shown[way] = np.stack([renderer.render(texts, options.steps, [seed] * count) for seed in SEEDS])
        others = [[1000 * (one + 1) + number for number in range(count)] for one in range(options.readings)]
        read.append(np.mean([hits(renderer.render(texts, STEPS_TO_READ, seeds), pictures) for seeds in others], axis=0))
        log.info("%s: %.4f", way, read[-1].mean())
    scores = np.stack(read)  # [ways, pictures]
    np.savez(options.out / "shown.npz", scores=scores, **shown)
    best = scores[scores.mean(axis=1).argmax()]
    report: dict[str, object] = {"pictures": count, "steps": options.steps, "prompts": prompts}
    report |= {way: _rounded(estimate(row)) for way, row in zip(prompts, scores, strict=True)}
    for eye in EYES:
        values = likeness(eye, images, shown)
        for most in range(2, len(prompts) + 1):
            chosen = np.take_along_axis(scores[:most], values[:most].argmax(axis=0)[None], axis=0)[0]
            named = f"{eye}, first {most}"
            report[named] = [_rounded(estimate(chosen)), _rounded(difference(chosen, best))]
            log.info("%s: %s", named, report[named])
    report["the best of all by the judge itself"] = _rounded(estimate(scores.max(axis=0)))
    (options.out / "choosing.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _rounded(value: Sequence[float]) -> list[float]:
    return [round(part, 4) for part in value]


if __name__ == "__main__":
    main()
