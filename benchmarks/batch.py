"""Pictures per second in the mode fast: a batch against the real clip-interrogator 0.6.0 in a loop.

One process, the same random weights of CLIP and BLIP, the same lists; the lists' embeddings are random numbers on both
sides, since building tables is measured in search.py and the values change no time.

    python benchmarks/batch.py [--model small|ViT-B-32] [--captioner small|base] [--pictures N] [--threads N]
                               [--device cuda] [--most N] [--out FOLDER]

Prints pictures a second of both, in turns over the same photographs, with decoding, captions and a CSV file; where this
engine's time goes; and its rate and the process's memory from 100 pictures up to `--most`. Writes FOLDER/batch.json.
Times are wall seconds: threads that decode are part of what is measured. Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import copy
import csv
import json
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import open_clip
import torch
import transformers
from clip_interrogator import clip_interrogator as peer
from PIL import Image
from search import SMALL
from skimage import data
from unrender.core.batch import Batch, FolderSource, sink_named
from unrender.core.clip import Clip
from unrender.core.describe import Captioner
from unrender.core.describe.writing.ways import model_for
from unrender.core.engine import Engine
from unrender.core.phrases import table
from unrender.core.prompt.interrogate import Interrogator
from unrender.core.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import tiny_captioners


class Benchmark:
    def __init__(self, model: str, captioner: str, cache: Path, device: torch.device) -> None:
        torch.manual_seed(0)
        config = SMALL if model == "small" else dict(open_clip.get_model_config(model))
        self.device, self.cache = device, cache
        self.clip = open_clip.CLIP(**config).eval().to(device)
        self.transform = open_clip.image_transform(224, is_train=False)
        self.processor, self.blip = blip(cache / "blip", captioner)
        self.blip.to(device)
        random_tables(config["embed_dim"])
        self.engine = self._engine()
        self.their = self._peer()

    def _engine(self) -> Engine:
        tokenizer = open_clip.get_tokenizer("ViT-B-32")
        clip = Clip.from_open_clip(copy.deepcopy(self.clip), self.transform, tokenizer, device=str(self.device))
        blip = copy.deepcopy(self.blip)  # whose attention is changed
        writer = Captioner("random BLIP", model_for("random BLIP", blip, self.processor, torch.float32))
        settings = Settings(phrases="peer", device=str(self.device), cache=self.cache)
        return Engine(settings, clip=clip, load_describer=lambda name, progress: writer)

    def _peer(self) -> peer.Interrogator:
        config = peer.Config(
            clip_model_name="ViT-B-32/none",
            cache_path=str(self.cache),
            download_cache=False,
            quiet=True,
            device=str(self.device),
        )
        config.clip_model, config.clip_preprocess = self.clip, self.transform
        config.caption_model, config.caption_processor = self.blip, self.processor
        return peer.Interrogator(config)

    def theirs(self, folder: Path) -> int:
        """The loop that its own readme shows."""
        names = sorted(path.name for path in folder.glob("*.jpg"))
        with (folder / "theirs.csv").open("w", newline="") as file:
            table = csv.writer(file)
            for name in names:
                image = Image.open(folder / name).convert("RGB")
                table.writerow([name, self.their.interrogate_fast(image)])
        return len(names)

    def ours(self, folder: Path) -> int:
        sink = sink_named("csv", folder, folder / "ours.csv", "overwrite")
        return sum(outcome.result is not None for outcome in Batch(self.engine, FolderSource(folder), sink, "fast"))


def random_tables(width: int) -> None:
    """For whatever table is built from here on, whosever it is."""

    def fill(their: Any, *_: Any) -> None:
        their.embeds = list(random_rows(len(their.labels), width).numpy())

    peer.LabelTable._load_cached = fill
    table._build = lambda clip, category, progress: random_rows(len(category.phrases), width)


def random_rows(count: int, width: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(count, width), dim=-1).half()


def blip(folder: Path, size: str) -> tuple[Any, Any]:
    """A processor and a random BLIP: of the tests' size, or of BLIP-base's, writing captions of the same length."""
    tiny_captioners.blip(folder)
    processor = transformers.BlipProcessor.from_pretrained(folder)
    config = transformers.BlipConfig.from_pretrained(folder)
    if size == "base":
        text, vision = config.text_config, config.vision_config
        text.hidden_size = text.encoder_hidden_size = vision.hidden_size = 768
        text.intermediate_size = vision.intermediate_size = 3072
        text.num_hidden_layers = text.num_attention_heads = vision.num_hidden_layers = vision.num_attention_heads = 12
        text.max_position_embeddings, vision.image_size, vision.patch_size = 512, 384, 16
        processor.image_processor.size = {"height": 384, "width": 384}
    torch.manual_seed(1)
    return processor, transformers.BlipForConditionalGeneration(config).eval()


def pictures(folder: Path, count: int) -> Path:
    """So many photographs as JPEG files, four subjects at different crops."""
    folder.mkdir()
    photographs = [Image.fromarray(getattr(data, name)()) for name in ("astronaut", "coffee", "cat", "rocket")]
    for number in range(count):
        photograph = photographs[number % 4]
        edge = number // 4 % 40
        photograph.crop((edge, edge, photograph.width, photograph.height)).save(folder / f"{number:06}.jpg")
    return folder


STAGES: dict[str, tuple[type, str]] = {
    "captions": (Captioner, "caption"),
    "vision": (Clip, "encode_views"),
    "words": (Interrogator, "run"),
}


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Seconds spent in each stage of this engine."""
    seconds = dict.fromkeys(STAGES, 0.0)
    originals = {stage: getattr(owner, name) for stage, (owner, name) in STAGES.items()}

    def timing(stage: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return original(*arguments, **named)
            finally:
                seconds[stage] += time.perf_counter() - started

        return call

    for stage, (owner, name) in STAGES.items():
        setattr(owner, name, timing(stage, originals[stage]))
    try:
        yield seconds
    finally:
        for stage, (owner, name) in STAGES.items():
            setattr(owner, name, originals[stage])


def compare(benchmark: Benchmark, folder: Path, repeats: int) -> dict[str, Any]:
    sides = {"theirs": benchmark.theirs, "ours": benchmark.ours}
    rates: dict[str, list[float]] = {name: [] for name in sides}
    stages: dict[str, float] = {}
    for _ in range(repeats):
        for name, side in sides.items():
            with timed() as seconds:
                started = time.perf_counter()
                done = side(folder)
                whole = time.perf_counter() - started
            rates[name].append(done / whole)
            if name == "ours":
                stages = {**seconds, "waiting, writing": whole - sum(seconds.values())}
    ratios = [ours / theirs for ours, theirs in zip(rates["ours"], rates["theirs"], strict=True)]
    return {"pictures a second": rates, "ratios": ratios, "seconds by stage": stages}


def growth(benchmark: Benchmark, cache: Path, most: int) -> list[dict[str, float]]:
    rows = []
    count = 100
    while count <= most:
        folder = pictures(cache / f"growth{count}", count)
        started = time.perf_counter()
        benchmark.ours(folder)
        seconds = time.perf_counter() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        rows.append({"pictures": count, "milliseconds each": 1000 * seconds / count, "peak GB": peak})
        count *= 10
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="small")
    parser.add_argument("--captioner", choices=("small", "base"), default="small")
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--most", type=int, default=1000, help="pictures of the longest run")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as name:
        cache = Path(name)
        benchmark = Benchmark(options.model, options.captioner, cache, torch.device(options.device))
        warm = pictures(cache / "warm", 4)  # tables are built in the first call of either
        benchmark.theirs(warm), benchmark.ours(warm)
        report = compare(benchmark, pictures(cache / "pictures", options.pictures), options.repeats)
        report["growth"] = growth(benchmark, cache, options.most)
    report = {"title": f"{options.model}, BLIP {options.captioner}, {options.device}", **report}
    print(json.dumps(report, indent=1))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "batch.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
