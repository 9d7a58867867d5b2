"""The search against the real clip-interrogator 0.6.0, in one process on the same random weights.

    python benchmarks/search.py [--model small|ViT-B-32|ViT-L-14] [--rows N] [--pictures N] [--out FOLDER]

Prints a table and writes FOLDER/search-MODEL.json. Times are CPU seconds of one thread, the sides taking turns; what is
counted on a part and scaled up says so. `--rows` is how many of the 2,048 candidates of a round the peer is given.
Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import open_clip
import torch
from clip_interrogator import clip_interrogator as peer
from PIL import Image
from skimage import data
from unrender.core.clip import Clip
from unrender.core.interrogate import Interrogator, Subject
from unrender.core.phrases import load_vocabulary
from unrender.core.phrases.table import PhraseTable
from unrender.core.phrases.vocabulary import Category
from unrender.core.progress import SILENT
from unrender.core.search import Scorer
from unrender.core.settings import Settings

CANDIDATES = 2048
PROMPTS = {
    8: "a painting of a woman sitting",
    28: ", ".join(
        ["a painting of a woman sitting", *["soft light", "cubism", "85mm lens", "by monet", "fog", "neon glow"]]
    ),
    60: ", ".join(
        ["a painting of a woman sitting", *["soft window light", "cubism", "by claude monet", "85mm lens"] * 3]
    ),
}
SMALL = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 224, "layers": 2, "width": 64, "patch_size": 32, "head_width": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}


@dataclass(frozen=True)
class Row:
    """seconds: CPU seconds of one thread. ratio: theirs over ours. note: what was scaled up."""

    what: str
    theirs: float
    exact: float
    two_precisions: float | None
    ratio: float
    best_ratio: float
    note: str = ""


class Benchmark:
    def __init__(self, model: str, cache: Path) -> None:
        torch.manual_seed(0)
        config = SMALL if model == "small" else dict(open_clip.get_model_config(model))
        self.model = open_clip.CLIP(**config).eval()
        self.tokenizer = open_clip.get_tokenizer("ViT-B-32")
        transform = open_clip.image_transform(224, is_train=False)
        self.exact = Clip.from_open_clip(self.model, transform, self.tokenizer, precision="exact")
        self.fast = Clip.from_open_clip(self.model, transform, self.tokenizer, precision="auto")
        self.transform = transform
        self.cache = cache
        self.vocabulary = load_vocabulary("peer")
        self.features = self.exact.encode_images([Image.fromarray(data.astronaut())])

    def rounds(self, rows: int, repeats: int) -> list[Row]:
        """One round of the chain: every candidate appended to a prompt, the best one found."""
        phrases = self.vocabulary.phrases("flavors")[: CANDIDATES * 40 : 40]
        ranker = peer.Interrogator.__new__(peer.Interrogator)
        ranker.config = type("Config", (), {"clip_offload": False, "caption_offload": False})
        ranker.clip_offloaded, ranker.caption_offloaded = False, True
        ranker.clip_model, ranker.tokenize, ranker.device = self.model, self.tokenizer, "cpu"
        result = []
        for length, prompt in PROMPTS.items():
            texts = [f"{prompt}, {phrase}" for phrase in phrases[:rows]]
            sides: dict[str, Callable[[], Any]] = {
                "theirs": lambda texts=texts: ranker.rank_top(self.features, texts),
                "exact": lambda prompt=prompt: self._round(self.exact, prompt, phrases),
            }
            if self.fast.text.has_rough:
                sides["two"] = lambda prompt=prompt: self._round(self.fast, prompt, phrases)
            seconds = _alternating(sides, repeats)
            note = "" if rows >= CANDIDATES else f"peer on {rows}, scaled"
            result.append(_row(f"round, {length} tokens", seconds, CANDIDATES / rows, note))
        return result

    def _round(self, clip: Clip, prompt: str, phrases: tuple[str, ...]) -> None:
        clip.text.forget()
        Scorer(clip, self.features[0]).best_continuation(prompt, phrases, 1.0)

    def table(self, count: int) -> Row:
        phrases = self.vocabulary.phrases("flavors")[:count]
        sample = phrases[:: max(1, len(phrases) // CANDIDATES)]

        def theirs() -> None:
            for start in range(0, len(sample), CANDIDATES):
                with torch.no_grad():
                    self.model.encode_text(self.tokenizer(list(sample[start : start + CANDIDATES])))

        def ours() -> None:
            folder = Path(tempfile.mkdtemp(dir=self.cache))
            PhraseTable.load(self.exact, [Category("flavors", phrases)], folder, SILENT)

        seconds = _alternating({"theirs": theirs, "exact": ours}, 1)
        scale = len(phrases) / len(sample)
        return _row(f"table of {len(phrases):,} phrases", seconds, scale, f"peer on {len(sample):,}, scaled")

    def ranking(self, width: int = 768) -> Row:
        count = 111_867
        embeddings = torch.nn.functional.normalize(torch.randn(count, width), dim=-1)
        table = PhraseTable(("",) * count, ("flavors",) * count, embeddings)
        theirs = peer.LabelTable.__new__(peer.LabelTable)
        theirs.labels, theirs.chunk_size, theirs.device = [""] * count, CANDIDATES, "cpu"
        theirs.config = type("Config", (), {"quiet": True})
        theirs.embeds = list(embeddings.numpy())
        features = torch.nn.functional.normalize(torch.randn(width), dim=0)

        from unrender.core.ranking import top

        sides = {
            "theirs": lambda: theirs.rank(features[None], CANDIDATES),
            "exact": lambda: top(table.similarities(features), CANDIDATES),
        }
        return _row(f"ranking {count:,} x {width}", _alternating(sides, 5), 1, "")

    def modes(self, pictures: int) -> list[Row]:
        """Whole modes on the full lists, captions given; small model only."""
        config = peer.Config(
            clip_model_name="ViT-B-32/none", cache_path=str(self.cache), download_cache=False, quiet=True, device="cpu"
        )
        config.clip_model, config.clip_preprocess, config.caption_model_name = self.model, self.transform, None
        their = peer.Interrogator(config)
        engines = {"exact": self.exact, **({"two": self.fast} if self.fast.text.has_rough else {})}
        ours = {
            name: Interrogator(
                clip,
                self.vocabulary,
                lambda clip=clip: PhraseTable.load(clip, self.vocabulary.positive(), self.cache / "tables", SILENT),
                Settings(peer_defects=True),
                SILENT,
            )
            for name, clip in engines.items()
        }
        caption = "a painting of a woman"
        calls = {
            "best": lambda image: their.interrogate(image, caption=caption),
            "negative": lambda image: their.interrogate_negative(image),
            "fast": lambda image: their.interrogate_fast(image, caption=caption),
        }
        images = [Image.fromarray(getattr(data, name)()) for name in ("astronaut", "coffee", "cat", "rocket")][
            :pictures
        ]
        result = []
        for mode, call in calls.items():
            total: dict[str, list[float]] = {}
            same = 0
            for image in images:
                subject = Subject(self.exact.encode_images([image])[0], caption)
                prompts: dict[str, str] = {}

                def run(name: str, image=image, subject=subject, mode=mode, call=call, prompts=prompts) -> None:
                    prompts[name] = call(image) if name == "theirs" else ours[name].run(mode, subject).prompt

                sides = {name: (lambda name=name, run=run: run(name)) for name in ("theirs", *ours)}
                for name, seconds in _alternating(sides, 1).items():
                    total.setdefault(name, []).extend(seconds)
                same += len({tuple(self.tokenizer([prompt])[0].tolist()) for prompt in prompts.values()}) == 1
            summed = {name: [sum(seconds)] for name, seconds in total.items()}
            result.append(_row(f"{mode}, {len(images)} pictures", summed, 1, f"{same} of {len(images)} identical"))
        return result


def _alternating(sides: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, call in sides.items():
            started = time.process_time()
            call()
            seconds[name].append(time.process_time() - started)
    return seconds


def _row(what: str, seconds: dict[str, list[float]], scale: float, note: str) -> Row:
    theirs, exact = median(seconds["theirs"]) * scale, median(seconds["exact"])
    two = median(seconds["two"]) if "two" in seconds else None
    return Row(what, theirs, exact, two, theirs / exact, theirs / min(exact, two or exact), note)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="small")
    parser.add_argument("--rows", type=int, default=CANDIDATES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=0, help="whole modes on that many pictures (small model)")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as cache:
        benchmark = Benchmark(options.model, Path(cache))
        rows = [*benchmark.rounds(options.rows, options.repeats), benchmark.table(5_000), benchmark.ranking()]
        rows += benchmark.modes(options.pictures) if options.pictures else []
    _show(options.model, rows)
    options.out.mkdir(parents=True, exist_ok=True)
    report = {"model": options.model, "torch": torch.__version__, "rows": [asdict(row) for row in rows]}
    (options.out / f"search-{options.model}.json").write_text(json.dumps(report, indent=1) + "\n")


def _show(model: str, rows: list[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{model}, CPU seconds of one thread, torch {torch.__version__}")
    for heading in ("", "peer", "float32", "two precisions", "float32 x", "best x", ""):
        table.add_column(heading, justify="left" if not heading else "right")
    for row in rows:
        two = "" if row.two_precisions is None else f"{row.two_precisions:.3f}"
        table.add_row(
            row.what,
            f"{row.theirs:.2f}",
            f"{row.exact:.3f}",
            two,
            f"{row.ratio:.1f}",
            f"{row.best_ratio:.1f}",
            row.note,
        )
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
