"""What a soft prompt costs at real sizes, by family: text encoders of the published shapes with random weights.

    python benchmarks/soft_cost.py [--family sd15 sd2 sdxl flux] [--threads N] [--device cuda] [--precision float16]

Prints of each, for a picture alone (quality good) and after a prompt that describes it (best): seconds and seconds of
CPU, how many steps were taken, and peak memory beyond the weights'. What is learned once is learned from few texts and
not counted; the search that finds the prompt is not either. Random weights change no time: the towers multiply the same
matrices. Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import open_clip
import torch
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
    for name in options.family:
        _family(family_named(name), torch.device(options.device), getattr(torch, options.precision))


def _family(family: Family, device: torch.device, dtype: torch.dtype) -> None:
    steps, tokenizer = Steps(), OpenClipTokenizer.of(open_clip.get_tokenizer("ViT-L-14"))
    assert tokenizer is not None
    sides = {each.name: TextSide(_weights(each, device, dtype), tokenizer, each.padding) for each in family.heard}
    seeing = TowerEncoder(TextTower(sides[family.seeing.name].weights), tokenizer)
    nothing: Any = None
    clip = Clip("random", nothing, nothing, seeing, 100.0, device, dtype)
    with tempfile.TemporaryDirectory() as folder:
        knowledge = _knowledge(clip, Path(folder))
        parts: dict[str, Any] = {"knowledge": knowledge, "progress": steps}
        embedder = Embedder(clip, family, sides, knowledge._vocabulary, Path(folder), **parts)
        joint = torch.nn.functional.normalize(torch.randn(2, family.seeing.width, device=device), dim=-1)
        _embed(embedder, joint[:1], Blend(anchor=PROMPT))  # what is made once
        for quality, blend in (("good", Blend(anchor="")), ("best", Blend(anchor=PROMPT))):
            _measured(f"{family.name}, {quality}", embedder, joint[1:], blend, steps)


def _measured(label: str, embedder: Embedder, joint: Tensor, blend: Blend, steps: Steps) -> None:
    before, memory = steps.taken, _peak(joint.device)
    started, worked = time.perf_counter(), time.process_time()
    _embed(embedder, joint, blend)
    seconds, work = time.perf_counter() - started, time.process_time() - worked
    grown = _peak(joint.device) - memory
    _say(f"{label}: {seconds:.1f} s ({work:.1f} s of CPU), {steps.taken - before} steps, {grown:.2f} GB more")


def _embed(embedder: Embedder, joint: Tensor, blend: Blend) -> None:
    embedder.embed(joint, ["key"], way_by("soft"), blend)
    if joint.device.type == "cuda":
        torch.cuda.synchronize()


def _knowledge(clip: Clip, folder: Path) -> Knowledge:
    families, vocabulary = families_for(None, True), load_vocabulary()

    def evidence() -> Evidence:
        asked = wordings(families)
        table = PhraseTable(asked, ("families",) * len(asked), clip.encode_texts(asked))
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


def _peak(device: torch.device) -> float:
    """GB, of the device where it is one's own."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
