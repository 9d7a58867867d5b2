"""What a soft prompt holds beyond words: how much of a picture is found again in what is rendered from it, on micro.

    python benchmarks/soft_prompts.py prompts --out FOLDER [--split test] [--pictures 1000]
    python benchmarks/soft_prompts.py test --out FOLDER [--split test] [--ways A B ...] [--lacking FACTOR ...]
    python benchmarks/soft_prompts.py sheet --out FOLDER

`prompts`: what the honest search and the captioner find. `test`: every way as the program makes it when nothing is
chosen, beside the words it stands on. The judge of the split reads the six factors (selecting on validation pictures,
testing on test pictures); two measures say how near a rendering comes to the picture itself, where words cannot follow
(`looks.Looks`). Lacking: the true caption without one factor, as every list leaves something out, alone and with a soft
prompt; nothing the soft prompt asks knows the factor. Edits: one factor's phrase is swapped in the found prompt. What
was read is kept, so that a run that was stopped goes on. `sheet`: a picture with each factor left out of its words, as
docs/embed.md shows it. Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from fidelity import SEEDS, STEPS, Bench, Edit, images_of
from PIL import Image
from unrender.cli.sheet import Card, Entry, Rendering, draw_sheet
from unrender.core.embed import PromptEmbedding
from unrender.core.embed.blend import Blend
from unrender.core.embed.seen import Seen
from unrender.core.engine import Engine, Settings
from unrender.core.micro.captions import ALL_FACTORS, bare_phrases, caption, plural
from unrender.core.micro.pictures import Pictures, render
from unrender.core.micro.world import FACTORS
from unrender.core.phrases.swapping import swapped
from unrender.core.variation.render import Sampling
from unrender.core.variation.render import render as render_one
from unrender.core.verify.statistics import Estimate, difference, estimate

GUIDANCE = 3.0  # by validation, as in fidelity.py
CUT = 0.6  # pinv's, of the singular values' root mean square; likewise
SAID = "true caption, known words"
HONEST, NONE, CAPTION, BEST = "interrogated, honest", "soft, no words", "soft, after the caption", "best quality"
OVER = {NONE: "pinv", CAPTION: "caption", BEST: HONEST}
"""The row that each is set beside."""

SHOWN = ("colour", "background", "artist", "style")

log = logging.getLogger("soft prompts")


class Read(NamedTuple):
    """By picture: hits [pictures, 6], similarity to it and distance from it [pictures], the means over seeds."""

    hits: np.ndarray
    similarity: np.ndarray
    distance: np.ndarray


def find_prompts(pictures: Pictures) -> dict[str, list[str]]:
    found = {}
    for name, mode in (("caption", "caption"), ("honest", "best")):
        settings = Settings(clip="micro", captioner="micro", device="cpu", min_phrases=1, max_phrases=6)
        with Engine(settings) as engine:
            found[name] = [each.prompt for each in engine.interrogate_each(images_of(pictures), mode)]
        log.info("%s: found", name)
    return found


def soft(bench: Bench, words: Sequence[str] | None = None, texts: Sequence[str] | None = None) -> list[PromptEmbedding]:
    """As the program makes it, on words that describe each picture, or on none; said in other texts, or in them."""
    none = [""] * len(bench.features)
    made = []
    for number, (joint, anchor, text) in enumerate(zip(bench.features, words or none, texts or none, strict=True)):
        seen = Seen(joint[None], (str(number),))
        made.append(bench.engine.embed(seen, "micro", "soft", Blend(anchor=anchor, text=text)))
    return made


def ways(bench: Bench) -> dict[str, Callable[[], Sequence[PromptEmbedding]]]:
    found, captions = bench.prompts["honest"], bench.prompts["caption"]
    return {
        HONEST: lambda: bench.of_texts(found),
        BEST: lambda: soft(bench, found),
        NONE: lambda: soft(bench),
        "pinv": lambda: bench.pinv(CUT),
        CAPTION: lambda: soft(bench, captions),
        "caption": lambda: bench.of_texts(captions),
        SAID: lambda: bench.of_texts(bench.known_captions),
        "ridge": lambda: bench.projected("ridge", Blend()),
        "anchored, on honest": lambda: bench.projected("anchored", [Blend(anchor=prompt) for prompt in found]),
    }


def lacking(bench: Bench, factor: str) -> list[str]:
    """The true captions but for the factor."""
    rng = random.Random(f"lacking {factor}")
    return [caption(scene, rng, ALL_FACTORS - {factor}).text for scene in bench.pictures.scenes]


def edited(bench: Bench) -> list[str]:
    """The found prompts with the phrase of each edit's factor in the place of what they say of it."""
    return [_edited(prompt, edit) for prompt, edit in zip(bench.prompts["honest"], bench.edits, strict=True)]


def _edited(prompt: str, edit: Edit) -> str:
    known = [each for value in FACTORS[edit.factor] for each in bare_phrases(edit.factor, value)]
    if edit.factor == "shape":
        prompt = swapped(prompt, map(plural, known), plural(edit.phrase), append=False)
    return swapped(prompt, known, edit.phrase)


class Kept:
    """What was read of each way, in a folder."""

    def __init__(self, bench: Bench, folder: Path) -> None:
        self._bench, self._folder = bench, folder
        folder.mkdir(parents=True, exist_ok=True)

    def found(self, name: str, make: Callable[[], Sequence[PromptEmbedding]]) -> tuple[np.ndarray, np.ndarray]:
        file = self._folder / f"{name.replace(', ', ' ').replace(' ', '-')}.npz"
        if not file.exists():
            found, near = self._bench.looked_at(make(), GUIDANCE, SEEDS)
            np.savez(file, found=found.astype(np.uint8), near=near)
        with np.load(file) as kept:
            return kept["found"], kept["near"]

    def read(self, name: str, make: Callable[[], Sequence[PromptEmbedding]]) -> Read:
        found, near = self.found(name, make)
        read = Read(self._bench.hits_of(found), *near.mean(axis=1).T)
        log.info("%s: %.4f %s", name, read.hits.mean(), read.hits.mean(axis=0).round(3).tolist())
        return read


def tested(kept: Kept, bench: Bench, names: Sequence[str]) -> dict[str, Any]:
    made = ways(bench)
    read = {name: kept.read(name, made[name]) for name in names or made}
    return {name: _row(read, name) for name in read}


def tested_edits(kept: Kept, bench: Bench) -> dict[str, Any]:
    texts, report = edited(bench), {}
    for name, make in (
        ("edit, words", lambda: bench.of_texts(texts)),
        ("edit, soft", lambda: soft(bench, bench.prompts["honest"], texts)),
    ):
        changed, others = bench.edit_rates_of(kept.found(name, make)[0])
        report[name] = {"changed": _rounded(estimate(changed)), "kept": _rounded(estimate(others))}
        log.info("%s: %s", name, report[name])
    return report


def tested_lacking(kept: Kept, bench: Bench, factors: Sequence[str]) -> dict[str, Any]:
    report, said = {}, kept.read(SAID, ways(bench)[SAID])
    for factor in factors:
        words, own = lacking(bench, factor), list(FACTORS).index(factor)
        alone = kept.read(f"lacking {factor}, words", lambda words=words: bench.of_texts(words))
        helped = kept.read(f"lacking {factor}, soft", lambda words=words: soft(bench, words))
        others = [np.delete(each.hits, own, axis=1).mean(axis=1) for each in (helped, alone)]
        rate = float(said.hits[:, own].mean())
        report[factor] = {
            "said": round(rate, 4),
            "words": _rounded(estimate(alone.hits[:, own])),
            "soft": _rounded(estimate(helped.hits[:, own])),
            "share of said": round(float(helped.hits[:, own].mean()) / rate, 4),
            "others over words": _rounded(difference(*others)),
        }
        log.info("lacking %s: %s", factor, report[factor])
    return report


def sheet(bench: Bench) -> Image.Image:
    """A picture a factor: what its words render that leave the factor out, and what they do with a soft prompt."""
    cards, texts = [], {factor: lacking(bench, factor) for factor in SHOWN}
    pictures = images_of(bench.pictures)
    for number, (factor, words) in enumerate(texts.items()):
        seen = Seen(bench.features[number][None], (str(number),))
        made = bench.engine.embed(seen, "micro", "soft", Blend(anchor=words[number]))
        sampling = Sampling(STEPS, GUIDANCE, seed=number)
        both = [bench.of_text(words[number]), made]
        rendered = [render_one(bench.checkpoint, each, bench.negative, sampling) for each in both]
        entries = (Entry("left out", f"the {factor}", True), Entry("words", words[number]))
        labelled = zip(("the words", "the words and a soft prompt"), rendered, strict=True)
        cards.append(Card(pictures[number], entries, tuple(Rendering(*each) for each in labelled)))
    return draw_sheet("What no word says", "Words that leave one thing out, and what is rendered of them.", cards)


def _row(read: Mapping[str, Read], name: str) -> dict[str, Any]:
    own, rival = read[name], read.get(OVER.get(name, ""))
    row: dict[str, Any] = {
        "factors": dict(zip(FACTORS, own.hits.mean(axis=0).round(4).tolist(), strict=True)),
        "mean": _rounded(estimate(own.hits.mean(axis=1))),
        "similarity": _rounded(estimate(own.similarity)),
        "distance": _rounded(estimate(own.distance)),
    }
    if rival is not None:
        row[f"over {OVER[name]}"] = {
            "mean": _rounded(difference(own.hits.mean(axis=1), rival.hits.mean(axis=1))),
            "similarity": _rounded(difference(own.similarity, rival.similarity)),
            "distance": _rounded(difference(own.distance, rival.distance)),
        }
    return row


def _rounded(value: Estimate) -> list[float]:
    return [round(part, 4) for part in value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("prompts", "test", "sheet"))
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--pictures", type=int, default=1000, help="the first so many (default: %(default)s)")
    parser.add_argument("--ways", nargs="*", default=[], help="those alone (default: all)")
    parser.add_argument("--lacking", nargs="*", choices=tuple(FACTORS), help="words that lack these, and nothing else")
    parser.add_argument("--edits", action="store_true", help="edits, and nothing else")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/soft"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    file, count = options.out / f"prompts-{options.split}.json", options.pictures
    if options.what == "prompts":
        file.write_text(json.dumps(find_prompts(render(options.split, count)), indent=1) + "\n", "utf-8")
        return
    prompts = {name: texts[:count] for name, texts in json.loads(file.read_text("utf-8")).items()}
    judge = "selecting" if options.split == "validation" else "testing"
    with torch.no_grad():
        bench = Bench(render(options.split, count), prompts, judge, "micro")
        if options.what == "sheet":
            sheet(bench).save(options.out / "soft.png", optimize=True)
            return
        kept = Kept(bench, options.out / f"{options.split}-{count}")
        if options.lacking is not None:
            name, report = "lacking", tested_lacking(kept, bench, options.lacking or tuple(FACTORS))
        elif options.edits:
            name, report = "edits", tested_edits(kept, bench)
        else:
            name, report = "ways", tested(kept, bench, options.ways)
    (options.out / f"{name}-{options.split}-{count}.json").write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
