"""How much of a picture is found again in what micro's Stable Diffusion renders from it, in each way there is.

    python benchmarks/fidelity.py prompts --split validation --pictures 200 --out FOLDER
    python benchmarks/fidelity.py prompts --split test --pictures 1000 --out FOLDER
    python benchmarks/fidelity.py choose --out FOLDER [--checkpoint FOLDER]
    python benchmarks/fidelity.py test --out FOLDER [--checkpoint FOLDER]

`prompts`: what each mode and search finds, for the other two. `choose`: the settings of every way and of the edit, on
validation pictures, by the judge that selects. `test`: with those settings, on test pictures, which combine shape,
colour, background and style as no training picture does, with captions in wordings that neither training nor any bank
has, by the judge that tests. A picture's score is the share of its six factors that the judge reads in its renderings
(two seeds); intervals are bootstrapped by picture. Only the ceilings, which are the true captions, know true factors.
Soft prompts, and words that lack a factor, are in `soft_prompts.py`.

Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from looks import Looks
from PIL import Image
from unrender.core.clip import Clip
from unrender.core.embed import PromptEmbedding
from unrender.core.embed.blend import Blend
from unrender.core.embed.conditioning import assembled
from unrender.core.embed.families import MICRO_FAMILY
from unrender.core.embed.projection import closed_form, edited
from unrender.core.embed.ridge import RidgeFit
from unrender.core.embed.seen import Seen
from unrender.core.embed.text_side import TextSide
from unrender.core.engine import Engine, Settings
from unrender.core.micro import PHRASES_FOLDER
from unrender.core.micro.captions import ALL_FACTORS, bare_phrases, caption, plural
from unrender.core.micro.pictures import Pictures, render
from unrender.core.micro.world import FACTORS, Scene
from unrender.core.phrases.composed import composed_prompts
from unrender.core.phrases.swapping import swapped
from unrender.core.phrases.vocabulary import load_vocabulary
from unrender.core.settings import Mode, Search
from unrender.core.variation.checkpoint import Checkpoint
from unrender.core.variation.render import Sampling, render_together
from unrender.core.verify.statistics import difference, estimate, retention
from unrender.training.judges import Name, load_judge, read_factors

SEARCHES: dict[str, tuple[Mode, Search]] = {
    "caption": ("caption", "peer"),
    "honest": ("best", "honest"),
    "fast": ("fast", "peer"),
    "classic": ("classic", "peer"),
    "best": ("best", "peer"),
    "beam": ("best", "beam"),
}
CUTS = (0.3, 0.6, 0.9, 1.2, 1.5)  # of the singular values' root mean square
STRENGTHS = (3e-4, 3e-3, 3e-2, 1e-1)
TEMPERATURES = (0.02, 0.05, 0.1)
CORRECTIONS = (0.25, 0.5, 1.0)  # 0 is the found prompt itself, which has its own row
GUIDANCES = (2.0, 3.0, 5.0)
ALPHAS = (0.6, 1.0, 2.0)
STEPS, BATCH = 10, 50
SEEDS = (0, 1)
EDIT = "edit: "

log = logging.getLogger("fidelity")


@dataclass(frozen=True)
class Chosen:
    """By validation. gap: whether pictures are moved to where texts are is the library's default, not a choice."""

    guidance: float = 3.0
    cut: float = 0.3
    strength: float = 3e-3
    temperature: float = 0.05
    correction: float = 0.25
    alpha: float = 0.6
    edit_correction: float = 0.25


@dataclass(frozen=True)
class Edit:
    """One factor of a picture is to be changed to a value it does not have."""

    factor: str
    value: str

    @property
    def phrase(self) -> str:
        return bare_phrases(self.factor, self.value, held_out=True)[0]


class Bench:
    """Pictures, what is known and found of them, and the models."""

    def __init__(self, pictures: Pictures, prompts: Mapping[str, Sequence[str]], judge: Name, checkpoint: str) -> None:
        self.pictures, self.prompts = pictures, prompts
        self.judge = load_judge(judge)
        self.checkpoint = Checkpoint.load(checkpoint, "cpu")
        self.clip = Clip.load("micro", "cpu")
        settings = Settings(clip="micro", captioner=None, device="cpu")
        self.engine = Engine(settings, load_clip=lambda _: self.clip)
        self.features = self.clip.encode_images(images_of(pictures))
        self.negative = self.of_text("")
        rng = random.Random("captions")
        self.captions = [caption(scene, rng, ALL_FACTORS, held_out=True).text for scene in pictures.scenes]
        self.known_captions = [caption(scene, rng, ALL_FACTORS).text for scene in pictures.scenes]
        self.edits = [_random_edit(scene, rng) for scene in pictures.scenes]
        encoder = MICRO_FAMILY.encoders[0]
        self.side = TextSide.of(self.clip, encoder.padding)
        vocabulary = load_vocabulary(None, PHRASES_FOLDER)
        self.norm = self.side.mean_norms(composed_prompts(vocabulary, 256))[0]

    def of_text(self, text: str) -> PromptEmbedding:
        return self.engine.embed_text(text, "micro")

    def of_texts(self, texts: Sequence[str]) -> list[PromptEmbedding]:
        return [self.of_text(text) for text in texts]

    def projected(self, projection: str, blends: Sequence[Blend] | Blend, fit: RidgeFit | None = None) -> list:
        each = [blends] * len(self.features) if isinstance(blends, Blend) else blends
        return [
            self.engine.embed(Seen(joint[None], (str(number),)), "micro", projection, blend, fit=fit)
            for number, (joint, blend) in enumerate(zip(self.features, each, strict=True))
        ]

    def pinv(self, cut: float) -> list[PromptEmbedding]:
        form = self._form(cut)
        return [self._whole(form.variation(joint)) for joint in self.features]

    def pinv_edited(self, cut: float, alpha: float) -> list[PromptEmbedding]:
        """The published edit form."""
        form, layer = self._form(cut), MICRO_FAMILY.encoders[0].layer
        made = []
        for joint, edit in zip(self.features, self.edits, strict=True):
            states, ends = self.side.long_states(edit.phrase, layer)
            made.append(self._whole(edited(form.end_state(joint), states, ends, alpha)))
        return made

    def _form(self, cut: float) -> Any:
        matrix = self.side.weights.projection
        assert matrix is not None
        scale = float(matrix.double().norm()) / min(matrix.shape) ** 0.5
        return closed_form(self.side, cut=cut * scale, norm=self.norm)

    def _whole(self, states: torch.Tensor) -> PromptEmbedding:
        return assembled(MICRO_FAMILY, {MICRO_FAMILY.encoders[0].name: states})

    def anchored(self, correction: float) -> list[PromptEmbedding]:
        return self.projected(
            "anchored", [Blend(anchor=prompt, correction=correction) for prompt in self.prompts["best"]]
        )

    def anchored_edited(self, correction: float) -> list[PromptEmbedding]:
        """The found prompt's phrase of the factor changed for the new one; the prompt says which, nothing else does."""
        pairs = zip(self.prompts["best"], _swapped_prompts(self), strict=True)
        return self.projected(
            "anchored", [Blend(anchor=prompt, text=text, correction=correction) for prompt, text in pairs]
        )

    def read(self, embeddings: Sequence[PromptEmbedding], guidance: float, seeds: Sequence[int]) -> np.ndarray:
        """What the judge reads: indices of the factors' values [pictures, seeds, 6]."""
        return self.looked_at(embeddings, guidance, seeds)[0]

    def looked_at(
        self,
        embeddings: Sequence[PromptEmbedding],
        guidance: float,
        seeds: Sequence[int],
        number: int = 0,
        places: Sequence[int] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The same, and how near the renderings come to the pictures: [pictures, seeds, 2], similarity and distance.
        number: of the first picture among all, which decides the noise. places: of these pictures, where some are left
        out."""
        found, near, chosen = [], [], list(places or range(len(embeddings)))
        for seed in seeds:
            sampling, rows, looks = Sampling(STEPS, guidance), [], []
            for first in range(0, len(embeddings), BATCH):
                batch = embeddings[first : first + BATCH]
                own = chosen[first : first + BATCH]
                noises = [len(seeds) * (number + place) + seed for place in own]
                made = render_together(self.checkpoint, batch, self.negative, sampling, noises)
                pixels = torch.from_numpy(np.stack([np.asarray(each) for each in made])).permute(0, 3, 1, 2)
                rows.append(read_factors(self.judge, pixels))
                seen, true = Looks.of(self.judge, pixels), Looks.of(self.judge, self.pictures.pixels[own])
                looks.append(torch.stack([true.similarities(seen), true.distances(seen)], dim=1))
            found.append(torch.cat(rows).numpy())
            near.append(torch.cat(looks).numpy())
        return np.stack(found, axis=1), np.stack(near, axis=1)

    def hits_of(self, found: np.ndarray) -> np.ndarray:
        """[pictures, 6], the share of seeds where the judge read the picture's own factor."""
        return (found == self.pictures.labels.numpy()[:, None, :]).mean(axis=1)

    def edit_rates_of(self, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Per picture: how often the factor has the new value, and the share of the others that are as before."""
        names, changed, kept = list(FACTORS), [], []
        for row, truth, edit in zip(found, self.pictures.labels.numpy(), self.edits, strict=True):
            place = names.index(edit.factor)
            changed.append((row[:, place] == list(FACTORS[edit.factor]).index(edit.value)).mean())
            kept.append((np.delete(row, place, axis=1) == np.delete(truth, place)).mean())
        return np.array(changed), np.array(kept)


def images_of(pictures: Pictures) -> list[Image.Image]:
    return [Image.fromarray(pixels.permute(1, 2, 0).numpy()) for pixels in pictures.pixels]


def _random_edit(scene: Scene, rng: random.Random) -> Edit:
    factor = rng.choice(list(FACTORS))
    return Edit(factor, rng.choice([value for value in FACTORS[factor] if value != scene.value(factor)]))


def _swapped(prompt: str, edit: Edit) -> str:
    known = [each for value in FACTORS[edit.factor] for each in bare_phrases(edit.factor, value)]
    if edit.factor == "shape":
        prompt = swapped(prompt, map(plural, known), plural(edit.phrase), append=False)
    return swapped(prompt, known, edit.phrase)


def _swapped_prompts(bench: Bench) -> list[str]:
    return [_swapped(prompt, edit) for prompt, edit in zip(bench.prompts["best"], bench.edits, strict=True)]


def find_prompts(pictures: Pictures) -> dict[str, list[str]]:
    found = {}
    for name, (mode, search) in SEARCHES.items():
        settings = Settings(clip="micro", captioner="micro", device="cpu", search=search, min_phrases=1, max_phrases=6)
        with Engine(settings) as engine:
            found[name] = [each.prompt for each in engine.interrogate_each(images_of(pictures), mode)]
        log.info("%s: found", name)
    return found


def choose(bench: Bench) -> tuple[Chosen, dict[str, Any]]:
    """Each setting by itself, by the mean share of factors read; those of the edit by the product of both rates."""
    trials: dict[str, Any] = {}

    def best(name: str, values: Sequence[float], score: Callable[[float], float]) -> float:
        trials[name] = {f"{value:g}": round(score(value), 4) for value in values}
        log.info("%s: %s", name, trials[name])
        return max(values, key=lambda value: trials[name][f"{value:g}"])

    captions = bench.of_texts(bench.captions)
    guidance = best("guidance", GUIDANCES, lambda value: bench.hits_of(bench.read(captions, value, (0,))).mean())

    def mean(embeddings: Sequence[PromptEmbedding]) -> float:
        return float(bench.hits_of(bench.read(embeddings, guidance, (0,))).mean())

    def product(embeddings: Sequence[PromptEmbedding]) -> float:
        changed, kept = bench.edit_rates_of(bench.read(embeddings, guidance, (0,)))
        return float(changed.mean() * kept.mean())

    cut = best("cut", CUTS, lambda value: mean(bench.pinv(value)))
    strength = best(
        "strength", STRENGTHS, lambda value: mean(bench.projected("ridge", Blend(), RidgeFit(strength=value)))
    )
    temperature = best("temperature", TEMPERATURES, lambda t: mean(bench.projected("bank", Blend(temperature=t))))
    correction = best("correction", CORRECTIONS, lambda value: mean(bench.anchored(value)))
    alpha = best("alpha", ALPHAS, lambda value: product(bench.pinv_edited(cut, value)))
    edit_correction = best("edit correction", CORRECTIONS, lambda value: product(bench.anchored_edited(value)))
    return Chosen(guidance, cut, strength, temperature, correction, alpha, edit_correction), trials


def test(bench: Bench, chosen: Chosen, kept: Path) -> dict[str, Any]:
    """kept: a folder for what has been read already, so that a run that was stopped goes on."""
    bank = bench.projected("bank", Blend(temperature=chosen.temperature))
    ways: dict[str, Callable[[], Sequence[PromptEmbedding]]] = {
        "true caption": lambda: bench.of_texts(bench.captions),
        "shuffled": lambda: [*bank[1:], bank[0]],
        "pinv": lambda: bench.pinv(chosen.cut),
        "anchored": lambda: bench.anchored(chosen.correction),
        "bank": lambda: bank,
        "ridge": lambda: bench.projected("ridge", Blend(), RidgeFit(strength=chosen.strength)),
        f"{EDIT}anchored, phrase swapped": lambda: bench.anchored_edited(chosen.edit_correction),
        f"{EDIT}interrogated, phrase swapped": lambda: bench.of_texts(_swapped_prompts(bench)),
        f"{EDIT}true caption with the factor swapped": lambda: bench.of_texts(_true_edits(bench)),
        f"{EDIT}pinv, published form": lambda: bench.pinv_edited(chosen.cut, chosen.alpha),
        f"{EDIT}the new phrase alone": lambda: bench.of_texts([edit.phrase for edit in bench.edits]),
        "true caption, known words": lambda: bench.of_texts(bench.known_captions),
        "interrogated, best": lambda: bench.of_texts(bench.prompts["best"]),
        "interrogated, beam": lambda: bench.of_texts(bench.prompts["beam"]),
        "interrogated, fast": lambda: bench.of_texts(bench.prompts["fast"]),
        "interrogated, classic": lambda: bench.of_texts(bench.prompts["classic"]),
        "pinv, published cut": lambda: bench.pinv(0.3),
        "empty prompt": lambda: [bench.negative] * len(bank),
    }
    hits, report = {}, {}
    for name, make in ways.items():
        file = kept / f"{name.replace(EDIT, 'edit ').replace(', ', ' ').replace(' ', '-')}.npy"
        if not file.exists():
            np.save(file, bench.read(make(), chosen.guidance, SEEDS).astype(np.uint8))
        if name.startswith(EDIT):
            changed, others = bench.edit_rates_of(np.load(file))
            report[name] = {"changed": _rounded(estimate(changed)), "kept": _rounded(estimate(others))}
            log.info("%s: %s", name, report[name])
        else:
            hits[name] = bench.hits_of(np.load(file))
            log.info("%s: %.4f %s", name, hits[name].mean(), hits[name].mean(axis=0).round(3).tolist())
    return report | {name: _row(hits, name) for name in hits}


def _true_edits(bench: Bench) -> list[str]:
    rng = random.Random("edits")
    pairs = zip(bench.pictures.scenes, bench.edits, strict=True)
    return [
        caption(replace(scene, **{edit.factor: edit.value}), rng, ALL_FACTORS, held_out=True).text
        for scene, edit in pairs
    ]


def _row(hits: Mapping[str, np.ndarray], name: str) -> dict[str, Any]:
    own, ceiling, zero, rival = (hits[each] for each in (name, "true caption", "shuffled", "pinv"))
    known = hits["true caption, known words"]
    parts = {factor: round(retention(own[:, k], ceiling[:, k], zero[:, k]).mean, 4) for k, factor in enumerate(FACTORS)}
    return {
        "factors": dict(zip(FACTORS, own.mean(axis=0).round(4).tolist(), strict=True)),
        "mean": _rounded(estimate(own.mean(axis=1))),
        "retention": _rounded(retention(own.mean(axis=1), ceiling.mean(axis=1), zero.mean(axis=1))),
        "retention by factor": parts,
        "retention, known words": _rounded(retention(own.mean(axis=1), known.mean(axis=1), zero.mean(axis=1))),
        "over pinv": _rounded(difference(own.mean(axis=1), rival.mean(axis=1))),
    }


def _rounded(value: Any) -> list[float]:
    return [round(part, 4) for part in value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("prompts", "choose", "test"))
    parser.add_argument("--split", choices=("validation", "test"), default="test", help="of the pictures, for prompts")
    parser.add_argument("--pictures", type=int, default=1000, help="how many, for prompts (default: %(default)s)")
    parser.add_argument("--checkpoint", default="micro")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/fidelity"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    split = {"choose": "validation", "test": "test"}.get(options.what, options.split)
    prompts_file, chosen_file = options.out / f"prompts-{split}.json", options.out / "chosen.json"
    if options.what == "prompts":
        _write(prompts_file, find_prompts(render(split, options.pictures)))
        return
    prompts = json.loads(prompts_file.read_text("utf-8"))
    judge: Name = "selecting" if options.what == "choose" else "testing"
    bench = Bench(render(split, len(prompts["best"])), prompts, judge, options.checkpoint)
    with torch.inference_mode():
        if options.what == "choose":
            chosen, trials = choose(bench)
            _write(chosen_file, {"chosen": vars(chosen), "trials": trials, "pictures": len(bench.captions)})
        else:
            chosen = Chosen(**json.loads(chosen_file.read_text("utf-8"))["chosen"])
            kept = options.out / "read"
            kept.mkdir(exist_ok=True)
            _write(options.out / "fidelity.json", {"chosen": vars(chosen), **test(bench, chosen, kept)})


def _write(path: Path, values: Any) -> None:
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
