"""The search against the real clip-interrogator 0.6.0, in one process on the same random weights.

    python benchmarks/search.py [--model small|ViT-B-32|ViT-L-14] [--rows N] [--repeats N] [--pictures N]
                                [--device cuda] [--out FOLDER]

Prints a table; writes FOLDER/search-MODEL.json and a plot of a round's time against its number of candidates and the
prompt's length. The sides take turns. On a CPU times are CPU seconds of one thread; on a GPU they are wall seconds, the
peer in float16 as it runs there. What is counted on a part and scaled up says so: `--rows` is how many of the 2,048
candidates of a round the peer is given. `--pictures` adds whole modes on so many pictures, captions given.
Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import copy
import tempfile
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import measuring
import numpy as np
import open_clip
import torch
from clip_interrogator import clip_interrogator as peer
from measuring import Row, Seconds, Sides, alternating, compare
from PIL import Image
from skimage import data
from unrender.core.clip import Clip
from unrender.core.clip.trie import Trie
from unrender.core.devices import fast_half
from unrender.core.phrases import load_vocabulary
from unrender.core.phrases.table import PhraseTable
from unrender.core.phrases.vocabulary import Category
from unrender.core.progress import SILENT
from unrender.core.prompt.interrogate import Interrogator, Subject
from unrender.core.prompt.ranking import top
from unrender.core.prompt.search import Scorer
from unrender.core.settings import Settings

CANDIDATES = 2048
FEWER_CANDIDATES = (256, 512, 1024)
PROMPTS = {
    8: "a painting of a woman sitting",
    28: ", ".join(
        ["a painting of a woman sitting", *["soft light", "cubism", "85mm lens", "by monet", "fog", "neon glow"]]
    ),
    60: ", ".join(
        ["a painting of a woman sitting", *["soft window light", "cubism", "by claude monet", "85mm lens"] * 3]
    ),
}
CAPTION = "a painting of a woman"
SMALL = {
    "embed_dim": 64,
    "vision_cfg": {"image_size": 224, "layers": 2, "width": 64, "patch_size": 32, "head_width": 32},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}


class Benchmark:
    def __init__(self, model: str, cache: Path, device: torch.device) -> None:
        torch.manual_seed(0)
        config = SMALL if model == "small" else dict(open_clip.get_model_config(model))
        original = open_clip.CLIP(**config).eval()
        self.device, self.cache = device, cache
        self.tokenizer = open_clip.get_tokenizer("ViT-B-32")
        self.transform = open_clip.image_transform(224, is_train=False)
        self.their_model = copy.deepcopy(original).to(device)
        if device.type == "cuda":
            self.their_model.half()
        self.engines = {"exact": self._clip(original, "exact")}
        if self._clip(original, "auto").text.has_rough:
            self.engines["two"] = self._clip(original, "auto")
        self.vocabulary = load_vocabulary("peer")
        self.features = self.engines["exact"].encode_images([Image.fromarray(data.astronaut())])
        self.rates = self._rates()

    def _clip(self, model: Any, precision: str) -> Clip:
        return Clip.from_open_clip(
            copy.deepcopy(model), self.transform, self.tokenizer, device=str(self.device), precision=precision
        )

    def _rates(self) -> dict[str, float]:
        width = self.engines["exact"].text._exact.tower.weights.positions.shape[1]
        half = fast_half(self.device)
        found = {"exact": measuring.matrix_rate(width, torch.float32, self.device)}
        return {**found, "two": measuring.matrix_rate(width, half, self.device)} if half else found

    def rounds(self, rows: int, repeats: int) -> list[tuple[int, int, Row]]:
        """One round of the chain: every candidate appended to a prompt, the best one found. Fewer candidates, for the
        plot, once, with the peer on 256."""
        result = [(CANDIDATES, tokens, self._round(tokens, CANDIDATES, rows, repeats)) for tokens in PROMPTS]
        for count in FEWER_CANDIDATES:
            result.append((count, 28, self._round(28, count, min(rows, FEWER_CANDIDATES[0]), 1)))
        return result

    def _round(self, tokens: int, count: int, rows: int, repeats: int) -> Row:
        phrases = self.vocabulary.phrases("flavors")[: CANDIDATES * 40 : 40][:count]
        prompt = PROMPTS[tokens]
        ranker = self._their_ranker()
        texts = [f"{prompt}, {phrase}" for phrase in phrases[:rows]]
        features = self.features.to(next(self.their_model.parameters()).dtype)
        sides: Sides = {"theirs": lambda: ranker.rank_top(features, texts)}
        for name, clip in self.engines.items():
            sides[name] = partial(self._our_round, clip, prompt, phrases)
            sides[name]()  # token ids of phrases are known from the first round on
        rows = min(rows, count)
        note = "" if rows == count else f"peer on {rows}, scaled"
        return compare(
            f"{count:,} candidates, {tokens} tokens",
            alternating(sides, repeats, self.device),
            self.device,
            count / rows,
            note,
            count,
            self._least_seconds(prompt, phrases),
        )

    def _their_ranker(self) -> Any:
        ranker = peer.Interrogator.__new__(peer.Interrogator)
        ranker.config = type("Config", (), {"clip_offload": False, "caption_offload": False})
        ranker.clip_offloaded, ranker.caption_offloaded = False, True
        ranker.clip_model, ranker.tokenize, ranker.device = self.their_model, self.tokenizer, str(self.device)
        return ranker

    def _our_round(self, clip: Clip, prompt: str, phrases: tuple[str, ...]) -> None:
        clip.text.forget()
        Scorer(clip, self.features[0]).best_continuation(prompt, phrases, 1.0)

    def _least_seconds(self, prompt: str, phrases: tuple[str, ...]) -> dict[str, float]:
        text = self.engines["exact"].text
        trie = Trie.build([(*text.ids(phrase), 49407) for phrase in phrases])
        weights = text._exact.tower.weights
        needed = measuring.operations(weights, len(trie), len(trie.ends), len(text.ids(prompt)) + 2)
        return {name: needed / rate for name, rate in self.rates.items()}

    def table(self, count: int) -> Row:
        """The embeddings of so many phrases, in the vocabulary's order: neighbours share more in the whole of it."""
        phrases = self.vocabulary.phrases("flavors")[:count]
        sample = phrases[:: max(1, len(phrases) // CANDIDATES)]

        def theirs() -> None:
            for start in range(0, len(sample), CANDIDATES):
                with torch.no_grad():
                    tokens = self.tokenizer(list(sample[start : start + CANDIDATES])).to(self.device)
                    self.their_model.encode_text(tokens)

        def ours(clip: Clip) -> None:
            folder = Path(tempfile.mkdtemp(dir=self.cache))
            PhraseTable.load(clip, [Category("flavors", phrases)], folder, SILENT)

        sides: Sides = {"theirs": theirs, "exact": lambda: ours(self.engines["exact"])}
        scale = len(phrases) / len(sample)
        note = f"peer on {len(sample):,}, scaled"
        return compare(f"table of {len(phrases):,}", alternating(sides, 1, self.device), self.device, scale, note)

    def rankings(self, width: int = 768) -> list[Row]:
        """One ranking of the merged lists, and all that one `best` asks for: the peer ranks seven tables, this engine
        multiplies once."""
        sizes = {category.name: len(category.phrases) for category in self.vocabulary.positive()}
        count = sum(sizes.values())
        embeddings = torch.nn.functional.normalize(torch.randn(count, width), dim=-1).half().float().to(self.device)
        names = tuple(name for name, size in sizes.items() for _ in range(size))
        table = PhraseTable(("",) * count, names, embeddings)
        features = torch.nn.functional.normalize(torch.randn(width), dim=0).to(self.device)
        arrays = embeddings.cpu().numpy()
        merged = self._their_table(arrays)
        single = {name: self._their_table(arrays[table.rows(name)]) for name in sizes}

        def their_best() -> None:
            merged.rank(features[None], CANDIDATES)
            merged.rank(features[None], 32)
            for name, their_table in single.items():
                their_table.rank(features[None], 32 if name == "flavors" else 1)

        def our_best() -> None:
            similarities = table.similarities(features)
            top(similarities, CANDIDATES)
            top(similarities, 64)
            for name in sizes:
                top(similarities[table.rows(name)], 64 if name == "flavors" else 2)

        result = []
        pairs: dict[str, Sides] = {
            f"one ranking of {count:,} x {width}": {
                "theirs": lambda: merged.rank(features[None], CANDIDATES),
                "exact": lambda: top(table.similarities(features), CANDIDATES),
            },
            "all rankings of a best": {"theirs": their_best, "exact": our_best},
        }
        for what, sides in pairs.items():
            result.append(compare(what, alternating(sides, 5, self.device), self.device))
        return result

    def _their_table(self, embeddings: np.ndarray) -> Any:
        table = peer.LabelTable.__new__(peer.LabelTable)
        table.labels, table.chunk_size, table.device = [""] * len(embeddings), CANDIDATES, str(self.device)
        table.config = type("Config", (), {"quiet": True})
        table.embeds = list(embeddings)
        return table

    def modes(self, pictures: int) -> list[Row]:
        """Whole modes on the full lists, captions given."""
        config = peer.Config(
            clip_model_name="ViT-B-32/none",
            cache_path=str(self.cache),
            download_cache=False,
            quiet=True,
            device=str(self.device),
        )
        config.clip_model, config.clip_preprocess, config.caption_model_name = self.their_model, self.transform, None
        their = peer.Interrogator(config)
        ours = {name: self._interrogator(clip) for name, clip in self.engines.items()}
        calls = {
            "best": lambda image: their.interrogate(image, caption=CAPTION),
            "negative": lambda image: their.interrogate_negative(image),
            "fast": lambda image: their.interrogate_fast(image, caption=CAPTION),
        }
        images = _pictures(pictures)
        result = []
        for mode, call in calls.items():
            total: dict[str, Seconds] = {}
            same = 0
            for image in images:
                prompts: dict[str, str] = {}

                def run(name: str, image=image, mode=mode, call=call, prompts=prompts) -> None:
                    prompts[name] = call(image) if name == "theirs" else self._prompt(name, ours[name], mode, image)

                sides: Sides = {name: partial(run, name) for name in ("theirs", *ours)}
                for name, seconds in alternating(sides, 1, self.device).items():
                    known = total.setdefault(name, Seconds([0.0], [0.0]))
                    known.cpu[0] += seconds.cpu[0]
                    known.wall[0] += seconds.wall[0]
                same += len({tuple(self.tokenizer([prompt])[0].tolist()) for prompt in prompts.values()}) == 1
            note = f"{same} of {len(images)} identical"
            result.append(compare(f"{mode}, {len(images)} pictures", total, self.device, note=note))
        return result

    def _interrogator(self, clip: Clip) -> Interrogator:
        folder = self.cache / "tables"
        interrogator = Interrogator(
            clip,
            self.vocabulary,
            lambda: PhraseTable.load(clip, self.vocabulary.positive(), folder, SILENT),
            Settings(peer_defects=True),
            SILENT,
        )
        interrogator.prepare("best")  # the peer builds its tables before, too
        return interrogator

    def _prompt(self, name: str, interrogator: Interrogator, mode: Any, image: Image.Image) -> str:
        """From the picture on, as the peer's call."""
        return interrogator.run(mode, Subject(self.engines[name].encode_images([image])[0], CAPTION)).prompt


def _pictures(count: int) -> list[Image.Image]:
    """Photographs, then noise of different grain."""
    photographs = [Image.fromarray(getattr(data, name)()) for name in ("astronaut", "coffee", "cat", "rocket")]
    random = np.random.default_rng(0)
    noise = [
        Image.fromarray(random.integers(0, 256, (5 + 3 * row, 9, 3), dtype=np.uint8)).resize((256, 256))
        for row in range(max(0, count - len(photographs)))
    ]
    return [*photographs, *noise][:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="small")
    parser.add_argument("--rows", type=int, default=CANDIDATES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=0)
    parser.add_argument("--table", type=int, default=5000, help="phrases of the table to build")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    device = torch.device(options.device)
    with tempfile.TemporaryDirectory() as cache:
        benchmark = Benchmark(options.model, Path(cache), device)
        rounds = benchmark.rounds(options.rows, options.repeats)
        rows = [row for _, _, row in rounds] + [benchmark.table(options.table), *benchmark.rankings()]
        rows += benchmark.modes(options.pictures) if options.pictures else []
    unit = "wall seconds" if device.type == "cuda" else "CPU seconds of one thread"
    title = f"{options.model} on {options.device}, {unit}, torch {torch.__version__}"
    measuring.show(title, rows)
    report = {"title": title, "operations a second": benchmark.rates, "repeats": options.repeats}
    if device.type == "cuda":
        report["peak GB"] = torch.cuda.max_memory_allocated() / 1e9
    measuring.keep(options.out, f"search-{options.model}", report, rows)
    measuring.plot(options.out / f"search-{options.model}.png", title, rounds)


if __name__ == "__main__":
    main()
