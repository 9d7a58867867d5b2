"""What a prompt embedding costs at a real size: the fit once, and each picture beside the vision tower alone.

    python benchmarks/embedding_cost.py [--model ViT-L-14] [--threads N] [--device cuda] [--bank]

The model has random weights, which change no time. Prints, for Stable Diffusion 1 and one process: seconds, peak memory
beyond what was loaded, and file size of the map's fit from 4,000 texts (and the bank's); then each projection's
milliseconds and share of the vision tower's own, in turns over one photograph. Soft prompts, for other families as
well, are `soft_cost.py`'s. Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import open_clip
import torch
from memory import Meter
from PIL import Image
from skimage import data
from unrender.core.clip import Clip
from unrender.core.embed.embedder import Embedder
from unrender.core.embed.families import CLIP_L, SD1
from unrender.core.embed.kinds import Projection, way_by
from unrender.core.embed.text_side import TextSide
from unrender.core.phrases.vocabulary import load_vocabulary

TURNS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="ViT-L-14", help="open_clip's name of one whose text tower is 768 wide")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bank", action="store_true", help="the bank as well, a file of half a gigabyte")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model = open_clip.create_model(options.model, pretrained=None, force_quick_gelu=True, device=options.device).eval()
    transform = open_clip.image_transform(224, is_train=False)
    clip = Clip.from_open_clip(model, transform, open_clip.get_tokenizer(options.model), device=options.device)
    side = TextSide.of(clip, SD1.encoders[0].padding)
    with tempfile.TemporaryDirectory() as folder:
        embedder = Embedder(clip, SD1, {CLIP_L: side}, load_vocabulary, Path(folder))
        picture = Image.fromarray(data.astronaut())
        features = clip.encode_images([picture])
        projections: tuple[Projection, ...] = ("pinv", "ridge", "bank") if options.bank else ("pinv", "ridge")
        for projection in projections:
            _first(embedder, features, projection, Path(folder))
        for projection in projections:
            _beside_vision(clip, picture, embedder, projection)


def _first(embedder: Embedder, features: torch.Tensor, projection: Projection, folder: Path) -> None:
    before, memory, started, worked = set(folder.iterdir()), Meter(), time.perf_counter(), time.process_time()
    embedder.embed(features, ["key"], way_by(projection))
    seconds, work = time.perf_counter() - started, time.process_time() - worked
    written = sum(file.stat().st_size for file in set(folder.iterdir()) - before) / 1e6
    grown = memory.peak()
    _say(f"{projection}, first: {seconds:.1f} s ({work:.1f} s of CPU), {grown:.2f} GB more, {written:.1f} MB on disk")


def _beside_vision(clip: Clip, picture: Image.Image, embedder: Embedder, projection: Projection) -> None:
    features = clip.encode_images([picture])
    vision, own = [], []
    for _ in range(TURNS):
        vision.append(_seconds(lambda: clip.encode_images([picture])))
        own.append(_seconds(lambda: embedder.embed(features, ["key"], way_by(projection))))
    share = median(own) / median(vision)
    _say(f"{projection}: {1e3 * median(own):.2f} ms, {share:.2%} of the vision tower's {1e3 * median(vision):.1f} ms")


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
