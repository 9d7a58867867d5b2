"""What a soft prompt holds beyond words: how much of a picture is found again in what is rendered from it, on micro.

    python benchmarks/soft_prompts.py prompts --out FOLDER [--split test] [--pictures 1000]
    python benchmarks/soft_prompts.py test --out FOLDER [--split test] [--pictures 1000] [--first 0] [--ways A B ...]
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
from unrender.core.evidence.bank import Bank
from unrender.core.evidence.likelihoods import Evidence, wordings
from unrender.core.evidence.of_engine import TEXTS
from unrender.core.micro.captions import ALL_FACTORS, bare_phrases, caption, plural
from unrender.core.micro.pictures import Pictures, render
from unrender.core.micro.world import FACTORS
from unrender.core.phrases import load_vocabulary
from unrender.core.phrases.composed import composed_prompts
from unrender.core.phrases.families import Family
from unrender.core.phrases.swapping import swapped
from unrender.core.phrases.table import PhraseTable
from unrender.core.variation.render import Sampling
from unrender.core.variation.render import render as render_one
from unrender.core.verify.statistics import Estimate, difference, estimate

GUIDANCE = 3.0  # by validation, as in fidelity.py
CUT = 0.6  # pinv's, of the singular values' root mean square; likewise
SAID = "true caption, known words"
HONEST, NONE, CAPTION, BEST = "interrogated, honest", "soft, no words", "soft, after the caption", "best quality"
UNPLACED = ", no gap known"
OVER = {NONE: "pinv", CAPTION: "caption", BEST: HONEST, NONE + UNPLACED: "pinv", BEST + UNPLACED: HONEST}
"""The row that each is set beside."""

SHOWN = ("colour", "background", "artist", "style")

log = logging.getLogger("soft prompts")


class Read(NamedTuple):
    """By picture, the means over seeds: hits [pictures, 6], similarity to it and distance from it [pictures]; and of
    edits how often the factor has the new value, and the share of the others that are as before [pictures]."""

    hits: np.ndarray
    similarity: np.ndarray
    distance: np.ndarray
    changed: np.ndarray
    kept: np.ndarray


def find_prompts(pictures: Pictures) -> dict[str, list[str]]:
    found = {}
    for name, mode in (("caption", "caption"), ("honest", "best")):
        settings = Settings(clip="micro", captioner="micro", device="cpu", min_phrases=1, max_phrases=6)
        with Engine(settings) as engine:
            found[name] = [each.prompt for each in engine.interrogate_each(images_of(pictures), mode)]
        log.info("%s: found", name)
    return found


def soft(
    bench: Bench, words: Sequence[str] | None = None, texts: Sequence[str] | None = None, engine: Engine | None = None
) -> list[PromptEmbedding]:
    """As the program makes it, on words that describe each picture, or on none; said in other texts, or in them."""
    made, none, maker = [], [""] * len(bench.features), engine or bench.engine
    for number, (joint, anchor, text) in enumerate(zip(bench.features, words or none, texts or none, strict=True)):
        seen = Seen(joint[None], (str(number),))
        made.append(maker.embed(seen, "micro", "soft", Blend(anchor=anchor, text=text)))
    return made


def best(bench: Bench, engine: Engine | None = None) -> list[PromptEmbedding]:
    """As the best quality makes it of the prompts that the search found."""
    models = (engine or bench.engine)._models
    embedder = models.embedder("micro", None, None, None)
    way, gap, made = embedder.way(quality="best"), models.gap(), []
    for number, (joint, prompt) in enumerate(zip(bench.features, bench.prompts["honest"], strict=True)):
        made.append(embedder.embed(joint[None], (str(number),), way, None, gap, (prompt,)))
    return made


def ways(bench: Bench) -> dict[str, Callable[[], Sequence[PromptEmbedding]]]:
    found, captions = bench.prompts["honest"], bench.prompts["caption"]
    return {
        HONEST: lambda: bench.of_texts(found),
        BEST: lambda: best(bench),
        NONE: lambda: soft(bench),
        "pinv": lambda: bench.pinv(CUT),
        CAPTION: lambda: soft(bench, captions),
        "caption": lambda: bench.of_texts(captions),
        NONE + UNPLACED: lambda: soft(bench, engine=unplaced(bench)),
        BEST + UNPLACED: lambda: best(bench, unplaced(bench)),
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
    """What was read of each way, in a folder: values by picture, of one part of the pictures after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def read(self, bench: Bench, first: int, name: str, make: Callable[[], Sequence[PromptEmbedding]]) -> None:
        file = self._folder / f"{name.replace(', ', ' ').replace(' ', '-')}@{first:05}.npz"
        if file.exists():
            return
        values = self._looked_at(bench, first, name, make())
        np.savez(file, **values)
        log.info(
            "%s from %d: %.4f %s", name, first, values["hits"].mean(), values["hits"].mean(axis=0).round(3).tolist()
        )

    def _looked_at(self, bench: Bench, first: int, name: str, made: Sequence[PromptEmbedding]) -> dict[str, np.ndarray]:
        """What is the same as the words it stands on was read with them."""
        words = bench.of_texts(bench.prompts["honest"]) if name == BEST else []
        if not words:
            return _values(bench, *bench.looked_at(made, GUIDANCE, SEEDS, first))
        places = [place for place, own in enumerate(made) if not _alike(own, words[place])]
        with np.load(self.parts(HONEST)[first]) as kept:
            values = {key: kept[key].copy() for key in kept.files}
        if places:
            labels = bench.pictures.labels.numpy()[places]
            found, near = bench.looked_at([made[place] for place in places], GUIDANCE, SEEDS, first, places)
            values["hits"][places] = (found == labels[:, None, :]).mean(axis=1)
            values["near"][places] = near.mean(axis=1)
        return values

    def parts(self, name: str) -> dict[int, Path]:
        stem = name.replace(", ", " ").replace(" ", "-")
        return {int(file.stem.split("@")[1]): file for file in sorted(self._folder.glob(f"{stem}@*.npz"))}

    def of(self, name: str, among: Sequence[int] | None = None) -> Read:
        """Of the parts that were read, or of these."""
        loaded = [np.load(file) for first, file in self.parts(name).items() if among is None or first in among]
        values = {key: np.concatenate([each[key] for each in loaded]) for key in ("hits", "near", "changed", "kept")}
        near = values["near"]
        return Read(values["hits"], near[:, 0], near[:, 1], values["changed"], values["kept"])


def _alike(one: PromptEmbedding, other: PromptEmbedding) -> bool:
    return one.states is not None and other.states is not None and torch.equal(one.states, other.states)


def _values(bench: Bench, found: np.ndarray, near: np.ndarray) -> dict[str, np.ndarray]:
    changed, kept = bench.edit_rates_of(found)
    return {"hits": bench.hits_of(found), "near": near.mean(axis=1), "changed": changed, "kept": kept}


def makers(bench: Bench, factors: Sequence[str]) -> dict[str, Callable[[], Sequence[PromptEmbedding]]]:
    """All that can be read, by name."""
    made, texts = ways(bench), edited(bench)
    made["edit, words"] = lambda: bench.of_texts(texts)
    made["edit, soft"] = lambda: soft(bench, bench.prompts["honest"], texts)
    for factor in factors:
        words = lacking(bench, factor)
        made[f"lacking {factor}, words"] = lambda words=words: bench.of_texts(words)
        made[f"lacking {factor}, soft"] = lambda words=words, factor=factor: soft_without(bench, words, factor)
    return made


def soft_without(bench: Bench, words: Sequence[str], factor: str) -> list[PromptEmbedding]:
    """On the words, by an engine whose families do not know the factor."""
    return soft(bench, words, engine=engine_without(bench, factor))


def engine_without(bench: Bench, factor: str) -> Engine:
    """Whose families do not know the factor."""
    known = bench.engine.evidence()
    return engine_of(bench, [each for each in known.families if each.name != factor], known.bank)


def unplaced(bench: Bench) -> Engine:
    """To which is known where texts lie, and not where pictures do: as of any CLIP but micro's, without a bank."""
    texts = Bank.of_texts(bench.clip, composed_prompts(load_vocabulary(), TEXTS))
    engine = engine_of(bench, bench.engine.evidence().families, texts)
    engine._models.gap = lambda: None
    return engine


def engine_of(bench: Bench, families: Sequence[Family], bank: Bank) -> Engine:
    phrases = wordings(families)
    table = PhraseTable(phrases, ("families",) * len(phrases), bench.clip.encode_texts(phrases))
    engine = Engine(bench.engine.settings, load_clip=lambda _: bench.clip)
    engine._models._evidence = Evidence(bench.clip, families, table, bank)
    return engine


def reported(kept: Kept) -> dict[str, Any]:
    """Of all that was read."""
    shown = (HONEST, BEST, BEST + UNPLACED, NONE, NONE + UNPLACED, "pinv", CAPTION, "caption", SAID, "ridge")
    named = {name: kept.parts(name) for name in shown}
    report: dict[str, Any] = {name: _row(kept, name) for name, parts in named.items() if parts}
    for name in ("edit, words", "edit, soft"):
        if kept.parts(name):
            read = kept.of(name)
            report[name] = {"changed": _rounded(estimate(read.changed)), "kept": _rounded(estimate(read.kept))}
    for number, factor in enumerate(FACTORS):
        if kept.parts(f"lacking {factor}, soft"):
            report[f"lacking {factor}"] = _lacking_row(kept, factor, number)
    return report


def _lacking_row(kept: Kept, factor: str, number: int) -> dict[str, Any]:
    among = tuple(kept.parts(f"lacking {factor}, soft"))
    helped = kept.of(f"lacking {factor}, soft")
    alone, said = kept.of(f"lacking {factor}, words", among), kept.of(SAID, among)
    others = [np.delete(each.hits, number, axis=1).mean(axis=1) for each in (helped, alone)]
    rate = float(said.hits[:, number].mean())
    return {
        "pictures": len(helped.hits),
        "said": round(rate, 4),
        "words": _rounded(estimate(alone.hits[:, number])),
        "soft": _rounded(estimate(helped.hits[:, number])),
        "share of said": round(float(helped.hits[:, number].mean()) / rate, 4),
        "others over words": _rounded(difference(*others)),
        "similarity over words": _rounded(difference(helped.similarity, alone.similarity)),
        "distance over words": _rounded(difference(helped.distance, alone.distance)),
    }


def sheet(bench: Bench) -> Image.Image:
    """A picture a factor: what its words render that leave the factor out, and what they do with a soft prompt."""
    cards, texts = [], {factor: lacking(bench, factor) for factor in SHOWN}
    pictures = images_of(bench.pictures)
    for number, (factor, words) in enumerate(texts.items()):
        seen = Seen(bench.features[number][None], (str(number),))
        made = engine_without(bench, factor).embed(seen, "micro", "soft", Blend(anchor=words[number]))
        sampling = Sampling(STEPS, GUIDANCE, seed=number)
        both = [bench.of_text(words[number]), made]
        rendered = [render_one(bench.checkpoint, each, bench.negative, sampling) for each in both]
        entries = (Entry("left out", f"the {factor}", True), Entry("words", words[number]))
        labelled = zip(("the words", "the words and a soft prompt"), rendered, strict=True)
        cards.append(Card(pictures[number], entries, tuple(Rendering(*each) for each in labelled)))
    return draw_sheet("What no word says", "Words that leave one thing out, and what is rendered of them.", cards)


def _row(kept: Kept, name: str) -> dict[str, Any]:
    among, rival = tuple(kept.parts(name)), OVER.get(name, "")
    own = kept.of(name)
    row: dict[str, Any] = {
        "pictures": len(own.hits),
        "factors": dict(zip(FACTORS, own.hits.mean(axis=0).round(4).tolist(), strict=True)),
        "mean": _rounded(estimate(own.hits.mean(axis=1))),
        "similarity": _rounded(estimate(own.similarity)),
        "distance": _rounded(estimate(own.distance)),
    }
    shared = [first for first in among if first in kept.parts(rival)] if rival else []
    if shared:
        own, other = kept.of(name, shared), kept.of(rival, shared)
        row[f"over {rival}"] = {
            "mean": _rounded(difference(own.hits.mean(axis=1), other.hits.mean(axis=1))),
            "similarity": _rounded(difference(own.similarity, other.similarity)),
            "distance": _rounded(difference(own.distance, other.distance)),
        }
    return row


def _rounded(value: Estimate) -> list[float]:
    return [round(part, 4) for part in value]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("prompts", "test", "sheet"))
    parser.add_argument("--split", choices=("validation", "test"), default="test")
    parser.add_argument("--pictures", type=int, default=1000, help="how many (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first of them (default: 0)")
    parser.add_argument("--part", type=int, default=100, help="of which is kept what was read (default: %(default)s)")
    parser.add_argument("--ways", nargs="+", default=[], help="those alone (default: all)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/soft"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    file, split, last = options.out / f"prompts-{options.split}.json", options.split, options.first + options.pictures
    if options.what == "prompts":
        file.write_text(json.dumps(find_prompts(render(split, last)), indent=1) + "\n", "utf-8")
        return
    prompts = json.loads(file.read_text("utf-8"))
    whole, kept = render(split, last), Kept(options.out / split)
    if options.what == "sheet":
        sheet(part_of(whole, prompts, split, 0, 50)).save(options.out / "soft.png", optimize=True)
        return
    with torch.no_grad():
        for first in range(options.first, last, options.part):
            bench = part_of(whole, prompts, split, first, options.part)
            for name, make in makers(bench, tuple(FACTORS)).items():
                if not options.ways or name in options.ways:
                    kept.read(bench, first, name, make)
    (options.out / f"{split}.json").write_text(json.dumps(reported(kept), indent=1) + "\n", "utf-8")


def part_of(whole: Pictures, prompts: Mapping[str, Sequence[str]], split: str, first: int, count: int) -> Bench:
    """Some of the pictures with their prompts."""
    rows = slice(first, first + count)
    pictures = Pictures(whole.scenes[rows], whole.pixels[rows], whole.masks[rows], whole.labels[rows])
    own = {name: texts[rows] for name, texts in prompts.items()}
    return Bench(pictures, own, "selecting" if split == "validation" else "testing", "micro")


if __name__ == "__main__":
    main()
