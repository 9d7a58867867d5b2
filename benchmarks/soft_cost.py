"""What a soft prompt costs at real sizes, by family: text encoders of the published shapes with random weights.

    python benchmarks/soft_cost.py [--family sd15 sd2 sdxl flux] [--threads N] [--device cuda] [--precision float16]

Prints of each, and keeps in benchmarks/logs/soft_cost.json, for a picture alone (quality good) and after a prompt that
describes it (best): seconds and seconds of CPU, how many steps were taken, and peak memory beyond the weights'. What is
learned once is learned from few texts and not counted; the search that finds the prompt is not either. Random weights
change no time: the towers multiply the same matrices. Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import open_clip
import torch
from memory import GIGABYTE, Meter
from torch import Tensor
from unrender.core.clip import Clip
from unrender.core.clip.text_encoder import TowerEncoder
from unrender.core.clip.text_tower import TextTower
from unrender.core.clip.tokenizers import OpenClipTokenizer
from unrender.core.clip.weights import Block, Norm, TowerWeights
from unrender.core.embed.blend import Blend
from unrender.core.embed.embedder import Embedder
from unrender.core.embed.families import Encoder, Family, family_named
from unrender.core.embed.kinds import way_by
from unrender.core.embed.soft.knowledge import Knowledge
from unrender.core.embed.text_side import TextSide
from unrender.core.evidence.likelihoods import Evidence, wordings
from unrender.core.phrases.composed import composed_prompts
from unrender.core.phrases.families import families_for
from unrender.core.phrases.table import PhraseTable
from unrender.core.phrases.vocabulary import load_vocabulary
from unrender.core.progress import Progress

LOG = Path(__file__).parent / "logs" / "soft_cost.json"
LAYERS = {768: 12, 1024: 24, 1280: 32}
"""Of the published text towers, by width: ViT-L-14, ViT-H-14, bigG."""
VOCABULARY, CONTEXT, HEAD = 49408, 77, 64
TEXTS = 64
PROMPT = (
    "an oil painting of a harbour at dawn with fishing boats and gulls, by Claude Monet, impressionism, soft light, "
    "muted colours, fog over the water, masts and rigging, trending on artstation, highly detailed, wide shot"
)


class Steps(Progress):
    """Counts those of descents."""

    def __init__(self) -> None:
        self.taken = 0

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "") -> Any:
        counts = label.startswith("Moving")
        steps = self

        class Task:
            def advance(self, amount: int = 1) -> None:
                steps.taken += amount * counts

        yield Task()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", nargs="+", default=["sd15", "sd2", "sdxl"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="float32", choices=["float32", "float16", "bfloat16"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    setting = {"device": options.device, "precision": options.precision, "threads": options.threads}
    kept: list[dict[str, Any]] = json.loads(LOG.read_text()) if LOG.is_file() else []
    for name in options.family:
        for quality, cost in _family(
            family_named(name), torch.device(options.device), getattr(torch, options.precision)
        ).items():
            row = {"family": name, "quality": quality, **setting}
            kept = [old for old in kept if {**old, **row} != old] + [{**row, **cost}]
            _say(json.dumps(kept[-1]))
            LOG.write_text("[\n" + ",\n".join(map(json.dumps, kept)) + "\n]\n")


def _family(family: Family, device: torch.device, dtype: torch.dtype) -> dict[str, dict[str, float]]:
    """Costs by quality."""
    steps, tokenizer = Steps(), OpenClipTokenizer.of(open_clip.get_tokenizer("ViT-L-14"))
    assert tokenizer is not None
    sides = {each.name: TextSide(_weights(each, device, dtype), tokenizer, each.padding) for each in family.heard}
    seeing = TowerEncoder(TextTower(sides[family.seeing.name].weights), tokenizer)
    nothing: Any = None
    clip = Clip("random", nothing, nothing, seeing, 100.0, device, dtype)
    with tempfile.TemporaryDirectory() as folder:
        knowledge = _knowledge(clip, family.seeing.width, Path(folder))
        parts: dict[str, Any] = {"knowledge": knowledge, "progress": steps}
        embedder = Embedder(clip, family, sides, knowledge._vocabulary, Path(folder), **parts)
        joint = torch.nn.functional.normalize(torch.randn(2, family.seeing.width, device=device), dim=-1)
        _embed(embedder, joint[:1], Blend(anchor=PROMPT))  # what is made once
        blends = {"good": Blend(anchor=""), "best": Blend(anchor=PROMPT)}
        return {quality: _measured(embedder, joint[1:], blend, steps) for quality, blend in blends.items()}


def _measured(embedder: Embedder, joint: Tensor, blend: Blend, steps: Steps) -> dict[str, float]:
    if joint.device.type == "cpu":  # what was let go of counts as memory again
        ctypes.CDLL(None).malloc_trim(0)
    before, weights = steps.taken, torch.cuda.memory_allocated() / GIGABYTE if joint.device.type == "cuda" else 0
    memory = Meter()
    started, worked = time.perf_counter(), time.process_time()
    _embed(embedder, joint, blend)
    seconds, work = time.perf_counter() - started, time.process_time() - worked
    return {
        "seconds": round(seconds, 1),
        "CPU seconds": round(work, 1),
        "steps": steps.taken - before,
        "GB": round(memory.peak() - weights, 2),
    }


def _embed(embedder: Embedder, joint: Tensor, blend: Blend) -> None:
    embedder.embed(joint, ["key"], way_by("soft"), blend)
    if joint.device.type == "cuda":
        torch.cuda.synchronize()


def _knowledge(clip: Clip, width: int, folder: Path) -> Knowledge:
    """Of texts that say nothing: the families' wordings, eleven thousand, are read once by whoever uses it."""
    families, vocabulary = families_for(None, True), load_vocabulary()

    def evidence() -> Evidence:
        asked = wordings(families)
        at_random = torch.nn.functional.normalize(torch.randn(len(asked), width, device=clip.device), dim=-1)
        table = PhraseTable(asked, ("families",) * len(asked), at_random)
        return Evidence(clip, families, table, known.where_texts_lie)

    known = Knowledge(clip, evidence, lambda: vocabulary, folder)
    known.__dict__["texts"] = composed_prompts(vocabulary, TEXTS)
    return known


def _weights(encoder: Encoder, device: torch.device, dtype: torch.dtype) -> TowerWeights:
    width = encoder.width

    def normal(*shape: int) -> Tensor:
        return (torch.randn(*shape) * width**-0.5).to(device, dtype)

    def norm() -> Norm:
        return torch.ones(width, device=device, dtype=dtype), torch.zeros(width, device=device, dtype=dtype), 1e-5

    def block() -> Block:
        qkv, out = normal(3 * width, width), normal(width, width)
        up, down = normal(4 * width, width), normal(width, 4 * width)
        return Block(
            norm(), qkv, normal(3 * width), out, normal(width), norm(), up, normal(4 * width), down, normal(width)
        )

    return TowerWeights(
        normal(VOCABULARY, width),
        normal(CONTEXT, width),
        tuple(block() for _ in range(LAYERS[width])),
        norm(),
        normal(width, width),
        None,
        width // HEAD,
        width == 768,
        VOCABULARY - 2,
        VOCABULARY - 1,
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
