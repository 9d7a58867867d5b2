"""A folder through tagger, captioner, CLIP and search in one batch: time and peak memory of each stage, and how often a
model takes another's place.

    python benchmarks/stages.py [--size micro|real] [--pictures 24] [--mode best] [--device cpu] [--out FOLDER]

micro: the toy models. real: random weights of a wd-vit's, BLIP-base's and ViT-B-32's size, so that the words mean
nothing and the time and memory do. Memory is PyTorch's max_memory_allocated on a GPU, else resident memory, in
gigabytes, the whole process's; a stage's peak is measured anew for each of its turns. Seconds are wall seconds.
Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from memory import GIGABYTE, status
from PIL import Image
from skimage import data
from unrender.core.batch import Batch, FolderSource, sink_named
from unrender.core.clip import Clip
from unrender.core.describe import Describer
from unrender.core.engine import Engine
from unrender.core.loading import EngineModels
from unrender.core.prompt.interrogate import Interrogator
from unrender.core.settings import Settings

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

ENTRIES = 512
"""Of each list of phrases, so that building tables is not what is measured."""


class Stages:
    """seconds, peaks, turns: by stage."""

    def __init__(self, device: str) -> None:
        self._cuda = device.startswith("cuda")
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.peaks: dict[str, float] = {}
        self.turns: list[str] = []

    @contextmanager
    def measured(self, stage: str) -> Iterator[None]:
        if self._cuda:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        else:
            Path("/proc/self/clear_refs").write_text("5")
        started = time.perf_counter()
        try:
            yield
        finally:
            if self._cuda:
                torch.cuda.synchronize()
            self.seconds[stage] += time.perf_counter() - started
            peak = torch.cuda.max_memory_allocated() if self._cuda else status("VmHWM")
            self.peaks[stage] = max(self.peaks.get(stage, 0.0), round(peak / GIGABYTE, 2))

    def watch(self, owner: type, name: str, stage: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def timed(*values: Any, **more: Any) -> Any:
            with self.measured(stage):
                return real(*values, **more)

        setattr(owner, name, timed)

    def watch_turns(self) -> None:
        real = EngineModels._placed

        @contextmanager
        def placed(models: EngineModels, describer: Describer) -> Iterator[None]:
            self.turns.append(describer.name)
            with self.measured(describer.name), real(models, describer):
                yield

        EngineModels._placed = placed  # pyright: ignore[reportAttributeAccessIssue]


def pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    photograph = Image.fromarray(data.astronaut()).resize((1024, 768))
    for number in range(count):
        photograph.rotate(number * 7 % 360).save(folder / f"{number:03}.jpg", quality=92)
    return folder


def lists(folder: Path) -> Path:
    from unrender.core.phrases.vocabulary import load_vocabulary

    folder.mkdir()
    for name in ("artists", "mediums", "movements", "sites", "flavors"):
        lines = load_vocabulary().phrases(name)[:ENTRIES]
        (folder / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


def engine_of(size: str, device: str, folder: Path) -> Engine:
    if size == "micro":
        return Engine(Settings(clip="micro", captioner="micro", tagger="micro-tagger", device=device))
    import open_clip

    torch.manual_seed(0)
    clip = Clip.from_open_clip(
        open_clip.CLIP(**open_clip.get_model_config("ViT-B-32")).eval().to(device),
        open_clip.image_transform(224, is_train=False),
        open_clip.get_tokenizer("ViT-B-32"),
        device=device,
    )
    describers = {"captioner": random_captioner(folder / "blip"), "tagger": random_tagger(folder / "tagger")}
    settings = Settings(
        captioner="captioner", tagger="tagger", device=device, phrases=lists(folder / "lists"), cache=folder / "cache"
    )
    return Engine(settings, clip, load_describer=lambda name, _: describers[name])


def random_captioner(folder: Path) -> Describer:
    from batch import blip
    from unrender.core.describe import Captioner
    from unrender.core.describe.writing.ways import model_for

    processor, model = blip(folder, "base")
    return Captioner("captioner", model_for("captioner", model, processor, torch.float32))


def random_tagger(folder: Path) -> Describer:
    import tiny_taggers
    from unrender.core.describe.tagging.tagger import Tagger

    vit = {"img_size": 448, "class_token": False, "fc_norm": False, "global_pool": "avg", "act_layer": "gelu_tanh"}
    tiny_taggers.ARCHITECTURES["vit"] = ("vit_base_patch16_224", vit)
    tiny_taggers.SIDE = 448
    tagger = Tagger.load(str(tiny_taggers.make(folder)), "cpu", torch.float32)
    tagger.name = "tagger"
    return tagger


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", choices=("micro", "real"), default="micro")
    parser.add_argument("--pictures", type=int, default=24)
    parser.add_argument("--mode", default="best")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    options = parser.parse_args()
    stages = Stages(options.device)
    with tempfile.TemporaryDirectory() as place:
        source = FolderSource(pictures(Path(place) / "pictures", options.pictures))
        engine = engine_of(options.size, options.device, Path(place))
        engine.interrogate(source.root / "000.jpg", options.mode)  # what is loaded and built once
        stages.watch_turns()
        stages.watch(Clip, "encode_views", "CLIP")
        stages.watch(Interrogator, "run", "search")
        started = time.perf_counter()
        with engine:
            batch = Batch(engine, source, sink_named("jsonl", source.root), options.mode)
            done = sum(outcome.result is not None for outcome in batch)
        whole = time.perf_counter() - started
    stages.seconds["decoding, views, writing"] = whole - sum(stages.seconds.values())
    report = {
        "what": f"{options.size}, {done} pictures, {options.mode}, {options.device}",
        "swaps": len(stages.turns),
        "turns": stages.turns,
        "seconds": {"whole": round(whole, 2), **{name: round(each, 2) for name, each in stages.seconds.items()}},
        "peak gigabytes": stages.peaks,
    }
    print(json.dumps(report, indent=1))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / f"stages-{options.size}.json").write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
