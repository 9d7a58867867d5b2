"""How much of a prompt is true, in every mode and search, in micro's world and in harder ones (`worlds`).

    python benchmarks/truth.py prompts --split validation --pictures 200 --out FOLDER [--worlds W] [--searches S]
    python benchmarks/truth.py prompts --two --split validation --pictures 200 --out FOLDER
    python benchmarks/truth.py report --split validation --pictures 200 --out FOLDER [--judge 200]
    python benchmarks/truth.py worlds

`prompts`: finds prompts and keeps them, one a line, so that a run that was stopped goes on. `--two`: of pictures of two
objects. `report`: of what is kept, tables and truth-SPLIT.json; with `--judge` the first prompts of the worlds and
searches named are rendered, each once, and what is read in them is kept. `worlds`: how well each world's CLIP tells
shapes.

Of a prompt: which values of the six factors it states, by all wordings there are, those that no training and no search
knows among them. Precision: the share of stated values that are true. Recall: the share of factors of which the true
value is stated and no other. Contradictions: factors of which two values are stated. Repeats: values stated again.
Perplexity: by words, under a language model of the world's captions that is trained apart (`world_language`); of true
captions in held-out wordings it says how unknown their sentences are. Judge: the share of the six factors that the
selecting judge (validation) or the testing one (test) reads in renderings of two seeds. Similarity: as that world's
CLIP has it, for information. Intervals are bootstrapped by picture; differences are paired, to `best`.

Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from unrender.core.devices import native_half
from unrender.core.engine import Engine, Settings
from unrender.core.micro import FAMILIES_FOLDER
from unrender.core.micro.captions import ALL_FACTORS, caption
from unrender.core.micro.pictures import Pictures, render
from unrender.core.micro.wordings import HELD_OUT_WORDS
from unrender.core.micro.world import FACTORS, Scene, Split
from unrender.core.phrases.families import Claims, Family, read_families
from unrender.core.settings import BY_EVIDENCE, Mode
from unrender.core.settings import SEARCHES as KNOWN
from unrender.core.variation.checkpoint import Checkpoint
from unrender.core.variation.render import Sampling, render_together
from unrender.core.verify.statistics import Estimate, difference, estimate, retention
from unrender.training.judges import load_judge, read_factors
from world_language import load_language, words_in
from worlds import WORLDS, Pair, World, WorldClip, bank_of, images_of, pairs, zero_shot

SEARCHES: dict[str, tuple[Mode, str]] = {
    "caption": ("caption", "peer"),
    "fast": ("fast", "peer"),
    "classic": ("classic", "peer"),
    "best": ("best", "peer"),
    "beam": ("best", "beam"),
    "honest": ("best", "honest"),
    "written": ("best", "written"),
}
TRUE, KNOWN_WORDS = "true caption", "true, known words"
STEPS, GUIDANCE, SEEDS, BATCH = 10, 3.0, 2, 50

log = logging.getLogger("truth")


@cache
def claims() -> Claims:
    return Claims([_with_held_out(family) for family in read_families(FAMILIES_FOLDER)])


def _with_held_out(family: Family) -> Family:
    words = HELD_OUT_WORDS[family.name]
    return replace(
        family,
        concepts=tuple(replace(each, wordings=(*each.wordings, *words[each.name])) for each in family.concepts),
    )


def stated(text: str) -> list[tuple[str, str]]:
    """Every (factor, value) in the order of the text, as often as it is said."""
    return [(claim.family.name, claim.concept.name) for claim in claims().read(text)]


@dataclass(frozen=True)
class Truth:
    """Of each prompt, by factor: [prompts, 6]. said: values stated; true: those that are true; exact: whether the true
    value and no other is; torn: whether two are. again, words: [prompts]."""

    said: np.ndarray
    true: np.ndarray
    exact: np.ndarray
    torn: np.ndarray
    again: np.ndarray
    words: np.ndarray

    @classmethod
    def of(cls, scenes: Sequence[Scene], prompts: Sequence[str]) -> Truth:
        rows, again = [], []
        for scene, prompt in zip(scenes, prompts, strict=True):
            found = stated(prompt)
            values = [{value for name, value in found if name == factor} for factor in FACTORS]
            truths = [scene.value(factor) for factor in FACTORS]
            rows.append(
                [
                    (len(some), one in some, some == {one}, len(some) > 1)
                    for some, one in zip(values, truths, strict=True)
                ]
            )
            again.append(len(found) - len(set(found)))
        said, true, exact, torn = np.array(rows, dtype=float).transpose(2, 0, 1)
        words = np.array([words_in(each) for each in prompts], dtype=float)
        return cls(said, true, exact, torn, np.array(again, dtype=float), words)

    def row(self) -> dict[str, Any]:
        return {
            "precision": _share(self.true.sum(axis=1), self.said.sum(axis=1)),
            "recall": estimate(self.exact.mean(axis=1)),
            "contradictions": estimate(self.torn.sum(axis=1)),
            "repeats": estimate(self.again),
            "words": estimate(self.words),
            "precision by factor": _by_factor(self.true.sum(axis=0) / np.maximum(self.said.sum(axis=0), 1)),
            "recall by factor": _by_factor(self.exact.mean(axis=0)),
        }


def _share(part: np.ndarray, whole: np.ndarray) -> Estimate:
    """Of all prompts' together, each [prompts]."""
    return retention(part, whole, np.zeros_like(whole))


def _by_factor(values: np.ndarray) -> dict[str, float]:
    return dict(zip(FACTORS, values.tolist(), strict=True))


@dataclass(frozen=True)
class Kept:
    """What is found already, in a folder; everything is added line by line."""

    folder: Path
    split: Split
    two: bool = False

    def prompts(self, world: World, search: str) -> Path:
        """One file for worlds that make no difference to the search."""
        home = "all" if search == "caption" else world.name if search in BY_EVIDENCE else world.same
        return self.folder / f"prompts-{self.split}{'-two' if self.two else ''}-{home}-{search}.jsonl"

    @property
    def readings(self) -> Path:
        return self.folder / f"read-{self.split}.jsonl"


def lines(path: Path) -> list[Any]:
    """Of a run that was stopped within a line, those before it."""
    if not path.exists():
        return []
    whole = path.read_text("utf-8").rpartition("\n")[0]
    return [json.loads(line) for line in whole.split("\n") if line]


def append(path: Path, values: Iterable[Any]) -> None:
    """To the whole lines that there are; a line of each value, at once on disk."""
    whole = "".join(json.dumps(each) + "\n" for each in lines(path))
    if path.exists() and path.read_text("utf-8") != whole:
        path.write_text(whole, "utf-8")
    with path.open("a", encoding="utf-8") as file:
        for value in values:
            file.write(json.dumps(value) + "\n")
            file.flush()


def find(kept: Kept, images: Sequence[Image.Image], world: World, searches: Sequence[str]) -> None:
    wanted = [each for each in searches if len(lines(kept.prompts(world, each))) < len(images)]
    if not wanted:
        return
    clip = WorldClip(world)
    features = clip.encode_images(images)
    for name in wanted:
        path, (mode, search) = kept.prompts(world, name), SEARCHES[name]
        done, known = len(lines(path)), lines(kept.prompts(world, "caption"))
        bank = bank_of(world, clip, kept.folder) if name in BY_EVIDENCE and world.name != "plain" else None
        settings = Settings(
            **{"clip": "micro", "captioner": "micro", "device": "cpu", "search": search, "bank": bank},
            min_phrases=1,
            max_phrases=6,
        )
        captions = known[done : len(images)] if len(known) >= len(images) and name not in BY_EVIDENCE else None
        with Engine(settings, load_clip=lambda _: clip) as engine:
            found = engine.interrogate_each(images[done:], mode, captions, features[done:])
            append(path, (each.prompt for each in found))
        log.info("%s, %s: found", world.name, name)


class Judge:
    """What is read in renderings of prompts, each rendered once wherever it is found: in half precision where that is
    native, which takes .6 of the time and changed one reading of 240."""

    def __init__(self, kept: Kept) -> None:
        self._path = kept.readings
        self._known = {(picture, text): read for picture, text, read in lines(kept.readings)}
        self._name = kept.split

    def render(self, wanted: Iterable[tuple[int, str]]) -> None:
        missing = sorted({each for each in wanted if each not in self._known})
        if missing:
            append(self._path, self._readings(missing))

    @torch.inference_mode()
    def _readings(self, missing: Sequence[tuple[int, str]]) -> Iterator[tuple[int, str, list[list[int]]]]:
        checkpoint = Checkpoint.load("micro", "cpu")
        judge = load_judge("testing" if self._name == "test" else "selecting")
        engine = Engine(Settings(clip="micro", captioner=None, device="cpu"))
        negative, half = engine.embed_text("", "micro"), native_half(torch.device("cpu"))
        for first in range(0, len(missing), BATCH):
            some = missing[first : first + BATCH]
            embeddings = [engine.embed_text(text, "micro") for _, text in some]
            read = []
            for seed in range(SEEDS):
                noises = [SEEDS * picture + seed for picture, _ in some]
                with torch.autocast("cpu", half, enabled=half is not None):
                    made = render_together(checkpoint, embeddings, negative, Sampling(STEPS, GUIDANCE), noises)
                pixels = torch.from_numpy(np.stack([np.asarray(each) for each in made]))
                read.append(read_factors(judge, pixels.permute(0, 3, 1, 2)))
            log.info("rendered %d of %d", first + len(some), len(missing))
            for (picture, text), found in zip(some, torch.stack(read, 1).tolist(), strict=True):
                self._known[picture, text] = found
                yield picture, text, found

    def hits(self, pictures: Pictures, prompts: Sequence[str]) -> np.ndarray:
        """[pictures, 6], the share of seeds where the judge read the picture's own factor: of the first pictures, as
        far as all of their prompts have been rendered."""
        found = list(itertools.takewhile(bool, (self._known.get(each) for each in enumerate(prompts))))
        read = np.array(found, dtype=int).reshape(-1, SEEDS, len(FACTORS))
        return (read == pictures.labels.numpy()[: len(read), None, :]).mean(axis=1)


def true_captions(scenes: Sequence[Scene]) -> dict[str, list[str]]:
    held_out, known = random.Random("captions"), random.Random("known captions")
    return {
        TRUE: [caption(scene, held_out, ALL_FACTORS, held_out=True).text for scene in scenes],
        KNOWN_WORDS: [caption(scene, known, ALL_FACTORS).text for scene in scenes],
    }


def prompts_of(kept: Kept, world: World, searches: Sequence[str], count: int) -> dict[str, list[str]]:
    """Of so many pictures, or of as many of the first ones as a search has come to."""
    found = {name: lines(kept.prompts(world, name))[:count] for name in searches}
    return {name: prompts for name, prompts in found.items() if prompts}


def report(
    kept: Kept, pictures: Pictures, world: World, found: Mapping[str, Sequence[str]], judge: Judge
) -> dict[str, Any]:
    """A row for each of the prompts found."""
    language, clip, rows = load_language(kept.folder / "language.safetensors"), WorldClip(world), {}
    features = clip.encode_images(images_of(pictures))
    hits = {name: judge.hits(pictures, prompts) for name, prompts in found.items()}
    for name, prompts in found.items():
        truth = Truth.of(pictures.scenes[: len(prompts)], prompts)
        surprise = _share(language.surprise(prompts), truth.words)
        similarity = (clip.encode_texts(prompts) * features[: len(prompts)]).sum(dim=1).numpy()
        rows[name] = {"pictures": len(prompts), **truth.row(), "perplexity": Estimate(*np.exp(surprise).tolist())}
        rows[name] |= {"similarity": estimate(similarity)} | _judged(hits[name], hits.get("best", hits[name][:0]))
    return rows


def _judged(own: np.ndarray, best: np.ndarray) -> dict[str, Any]:
    both = min(len(own), len(best))
    if not len(own):
        return {}
    row = {"judged": len(own), "judge": estimate(own.mean(axis=1)), "judge by factor": _by_factor(own.mean(axis=0))}
    if both:
        row |= {"over best": difference(own[:both].mean(axis=1), best[:both].mean(axis=1))}
        row |= {"over best by factor": _by_factor((own[:both] - best[:both]).mean(axis=0))}
    return row


def report_of_two(subjects: Sequence[Pair], found: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """A value is true if it is of either object. changed: of the caption's true values, those no longer stated."""
    rows = {}
    for name, prompts in found.items():
        count = min(len(prompts), len(found["caption"]))
        trues, values = _true_values(subjects[:count], prompts[:count])
        before, _ = _true_values(subjects[:count], found["caption"][:count])
        lost = [some - now for some, now in zip(before, values, strict=True)]
        rows[name] = {
            "pictures": count,
            "precision": _share(_counts(trues), _counts(values)),
            "changed": _share(_counts(lost), _counts(before)),
            "words": estimate(np.array([words_in(each) for each in prompts], dtype=float)),
        }
    return rows


Values = list[set[tuple[str, str]]]


def _true_values(subjects: Sequence[Pair], prompts: Sequence[str]) -> tuple[Values, Values]:
    """Those that are true, and all."""
    values = [set(stated(text)) for text in prompts]
    return [{each for each in some if pair.holds(*each)} for pair, some in zip(subjects, values, strict=True)], values


def _counts(sets: Sequence[set[Any]]) -> np.ndarray:
    return np.array([len(each) for each in sets], dtype=float)


def table(title: str, rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Text: means with half their intervals' widths; by factor below."""
    keys = list(dict.fromkeys(key for row in rows.values() for key in row))
    by_factor = [key for key in keys if key.endswith("by factor")]
    heads, width = [key for key in keys if key not in by_factor], max(map(len, rows)) + 2
    text = [title, " " * width + "".join(f"{head:>17}" for head in heads)]
    for name, row in rows.items():
        text.append(f"{name:<{width}}" + "".join(f"{_told(row.get(head)):>17}" for head in heads))
    for key in by_factor:
        text += ["", f"{key:<{width + 8}}" + "".join(f"{factor:>12}" for factor in FACTORS)]
        for name in [name for name, row in rows.items() if key in row]:
            text.append(f"{name:<{width + 8}}" + "".join(f"{value:>12.3f}" for value in rows[name][key].values()))
    return "\n".join(text) + "\n"


def _told(value: Estimate | int | None) -> str:
    if value is None or isinstance(value, int):
        return str(value or "")
    digits = 3 if abs(value.mean) < 2 else 1
    return f"{value.mean:.{digits}f} ±{(value.high - value.low) / 2:.{digits}f}"


def main() -> None:
    names = [name for name, (_, search) in SEARCHES.items() if search in KNOWN]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("prompts", "report", "worlds"))
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--searches", nargs="+", choices=names, default=names)
    parser.add_argument("--two", action="store_true", help="of pictures of two objects, for prompts")
    parser.add_argument("--judge", type=int, default=0, metavar="N", help="render the first N prompts of each kind")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/truth"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    kept, worlds = Kept(options.out, options.split, options.two), [WORLDS[name] for name in options.worlds]
    if options.what == "worlds":
        pictures = render("validation", 400)
        for world in worlds:
            log.info("%s: shape %.3f", world.name, zero_shot(WorldClip(world), pictures))
    elif options.what == "prompts":
        two = options.two
        images = [pair.picture for pair in pairs(options.split, options.pictures)] if two else None
        images = images or images_of(render(options.split, options.pictures))
        for world in worlds:
            find(kept, images, world, options.searches)
    else:
        _report(kept, worlds, options.searches, options.pictures, options.judge)


def _report(kept: Kept, worlds: Sequence[World], searches: Sequence[str], count: int, judged: int) -> None:
    pictures, report_file = render(kept.split, count), kept.folder / f"truth-{kept.split}.json"
    judge, true = Judge(kept), true_captions(pictures.scenes)
    found = {world: true | prompts_of(kept, world, searches, count) for world in worlds}
    texts = [each[:judged] for some in found.values() for each in some.values()]
    judge.render(each for some in texts for each in enumerate(some))
    rows: dict[str, Any] = {world.name: report(kept, pictures, world, some, judge) for world, some in found.items()}
    text = [table(f"{name}, {kept.split}", some) for name, some in rows.items()]
    two, subjects = replace(kept, two=True), pairs(kept.split, count)
    for world in worlds:
        some = prompts_of(two, world, searches, count)
        if "caption" in some:
            name = f"{world.name}, two objects"
            rows[name] = report_of_two(subjects, some)
            text.append(table(f"{name}, {kept.split}", rows[name]))
    report_file.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    report_file.with_suffix(".txt").write_text("\n".join(text), "utf-8")
    print("\n".join(text))


if __name__ == "__main__":
    main()
