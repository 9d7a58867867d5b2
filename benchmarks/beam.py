"""Whether the beam finds better prompts than the greedy chain, and at what cost.

    python benchmarks/beam.py random [--pictures 100] [--out FOLDER]
    python benchmarks/beam.py micro --judge FOLDER [--pictures 300] [--out FOLDER]

`random`: a random tower and pictures of pairwise cosine under 0.5, 2,048 candidates. On how many pictures the beam
alone, the greedy result left out, ends above greedy by more than 1e-4, and what both together cost beside greedy, in
CPU seconds of one thread.

`micro`: pictures of the test split. Which share of the factors each search's prompts name rightly, and how similar a
second CLIP that the search knows nothing of finds prompt and picture. Train that one with
`python -m training.train --seed 11 --out FOLDER`.

Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import open_clip
import torch
from PIL import Image
from unrender.core.clip import Clip
from unrender.core.phrases import load_vocabulary
from unrender.core.progress import SILENT
from unrender.core.prompt.beam import BeamRules, Guides, beam_search
from unrender.core.prompt.interrogate import FLAVORS
from unrender.core.prompt.search import Candidate, ChainRules, Scorer, greedy_chain

CAPTION = "a painting of a woman sitting on a chair"


def far_apart(count: int, width: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    found = torch.empty(0, width)
    while len(found) < count:
        one = torch.nn.functional.normalize(torch.randn(1, width, generator=random), dim=-1)
        if not len(found) or (found @ one[0]).abs().max() < 0.5:
            found = torch.cat([found, one])
    return found


def on_random(pictures: int) -> dict[str, Any]:
    torch.manual_seed(0)
    model = open_clip.CLIP(
        64,
        vision_cfg={"image_size": 64, "layers": 1, "width": 32, "patch_size": 32, "head_width": 16},
        text_cfg={"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
    ).eval()
    transform, tokenizer = open_clip.image_transform(64, is_train=False), open_clip.get_tokenizer("ViT-B-32")
    clip = Clip.from_open_clip(model, transform, tokenizer, precision="exact")
    pool = [Candidate(text, FLAVORS) for text in load_vocabulary("peer").phrases(FLAVORS)[::40][:2048]]
    rules = ChainRules(8, 32, 77, {})
    gains, costs = [], []
    for features in far_apart(pictures, 64):
        scorer = Scorer(clip, features)
        start = scorer.trail([Candidate(CAPTION, "caption")])
        clip.text.forget()
        begun = time.process_time()
        guides = Guides(BeamRules().shortlist)
        greedy = greedy_chain(scorer, pool, start, rules, SILENT, guides.watch)
        between = time.process_time()
        beam = beam_search(scorer, pool, start, rules, BeamRules(), SILENT, guides.found)
        ended = time.process_time()
        gains.append(beam.similarity - greedy.similarity)
        costs.append((ended - begun) / (between - begun))
    return {
        "pictures": pictures,
        "beam above greedy by 1e-4": sum(gain > 1e-4 for gain in gains),
        "median gain": statistics.median(gains),
        "least gain": min(gains),
        "cost of both over greedy's, median": statistics.median(costs),
        "cost of both over greedy's, worst": max(costs),
    }


def on_micro(pictures: int, judge_folder: Path) -> dict[str, Any]:
    from unrender.core.engine import Engine, Settings
    from unrender.core.micro.captions import read
    from unrender.core.micro.pictures import render
    from unrender.core.micro.world import FACTORS

    judge = Clip.load(str(judge_folder), device="cpu", precision="exact")
    drawn = render("test", pictures)
    images = [Image.fromarray(pixels.permute(1, 2, 0).numpy()) for pixels in drawn.pixels]
    judged = judge.encode_images(images)
    report: dict[str, Any] = {"pictures": pictures}
    with tempfile.TemporaryDirectory() as cache:
        for caption in ("micro", None):
            for search in ("peer", "beam"):
                settings = Settings(
                    clip="micro", captioner=caption, search=search, cache=cache, min_phrases=1, max_phrases=6
                )
                with Engine(settings) as engine:
                    found = [engine.interrogate(image) for image in images]
                named = [read(one.prompt) for one in found]
                accuracy = {
                    factor: statistics.mean(
                        name.get(factor, "none") == scene.value(factor)
                        for name, scene in zip(named, drawn.scenes, strict=True)
                    )
                    for factor in FACTORS
                }
                scores = (judge.encode_texts([one.prompt for one in found]) * judged).sum(dim=1)
                report[f"{search}, {'captioned' if caption else 'no caption'}"] = {
                    "own similarity": statistics.mean(one.similarity for one in found),
                    "judge's similarity": float(scores.mean()),
                    "judge's similarity by picture": [round(score, 5) for score in scores.tolist()],
                    "factors named": {factor: round(share, 4) for factor, share in accuracy.items()},
                    "factors named, mean": statistics.mean(accuracy.values()),
                    "more than one medium": sum(_mediums(one.phrases) > 1 for one in found),
                    "repeated words": statistics.mean(_repeated_words(one.prompt) for one in found),
                }
    return report


def _mediums(phrases: Any) -> int:
    return sum("mediums" in phrase.category for phrase in phrases)


def _repeated_words(prompt: str) -> int:
    words = Counter(word for word in prompt.replace(",", " ").casefold().split() if len(word) > 3)
    return sum(count - 1 for count in words.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("random", "micro"))
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--judge", type=Path, help="folder of a second CLIP in transformers format")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.what == "micro":
        if options.judge is None:
            parser.error("micro needs --judge FOLDER")
        report = on_micro(options.pictures or 300, options.judge)
    else:
        report = on_random(options.pictures or 100)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"beam-{options.what}.json").write_text(json.dumps(report, indent=1) + "\n")
    for value in report.values():
        if isinstance(value, dict):
            value.pop("judge's similarity by picture", None)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
