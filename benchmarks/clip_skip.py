"""Which form serves a checkpoint at clip skip 2: the closed form, which knows the last layer alone, or what is learned.

    python benchmarks/clip_skip.py --pictures 200 --out FOLDER

Micro's Stable Diffusion was trained with its text encoder's last layer, as Stable Diffusion 1 was; here it is given the
second-to-last one's states through the final norm, as webuis do at clip skip 2. Scores as in fidelity.py: the share of
a test picture's six factors that a judge reads in its renderings, and the paired difference to what was the default.
`cosine`: of each embedding's position after the caption's end with the true caption's own, at this layer. One gets the
pictures' gap to texts, which is known of micro alone; a webui has it of no other CLIP.

Not a test: nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fidelity import SEEDS, Bench, _rounded
from torch import Tensor
from unrender.core.clip.hidden_states import hidden_states
from unrender.core.clip.layers import LAST, SECOND_TO_LAST_NORMED
from unrender.core.embed import PromptEmbedding
from unrender.core.embed.families import MICRO_FAMILY
from unrender.core.embed.ridge import RidgeFit, SequenceMap, fit_maps
from unrender.core.micro import PHRASES_FOLDER
from unrender.core.micro.pictures import render
from unrender.core.phrases.composed import composed_prompts
from unrender.core.phrases.vocabulary import load_vocabulary
from unrender.core.verify.statistics import difference, estimate

log = logging.getLogger("clip_skip")
LAYER = SECOND_TO_LAST_NORMED
GUIDANCE = 3.0


class Skipping:
    """The ways to an embedding for the second-to-last layer."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.side = bench, bench.side
        prompts = composed_prompts(load_vocabulary(None, PHRASES_FOLDER), RidgeFit().prompts)
        (states, last), ends = self.side.states(prompts[:256], (LAYER, LAST))
        rows = torch.arange(len(ends))
        self.ends, self.last_ends = states[rows, ends], last[rows, ends]
        ids = torch.tensor([[self.side.weights.start_of_text]])
        self.start = hidden_states(self.side.weights, ids, (LAYER,))[0][0, 0]
        self.ridge: SequenceMap = fit_maps(None, self.side, (LAYER,), prompts, RidgeFit())[LAYER]

    def of_texts(self, texts: Sequence[str]) -> list[PromptEmbedding]:
        return [self._whole(self.side.long_states(text, LAYER)[0].flatten(0, 1)) for text in texts]

    def pinv(self, cut: float, *, start: bool = True, norm: bool = False, moved: bool = False) -> list[PromptEmbedding]:
        """start: the start token's state is this layer's own. norm: the length, too. moved: by what lies between the
        two layers' mean ends."""
        form = self.bench._form(cut)
        form = replace(form, start=self.start) if start else form
        form = replace(form, norm=float(self.ends.norm(dim=-1).mean())) if norm else form
        made = [form.variation(joint) for joint in self.bench.features]
        if moved:
            between = (self.ends - self.last_ends).mean(dim=0)
            made = [torch.cat([each[:1], each[1:] + between]) for each in made]
        return [self._whole(each) for each in made]

    def learned(self, with_gap: bool) -> list[PromptEmbedding]:
        from unrender.core.embed.gap import shipped_gap

        gap = shipped_gap("micro") if with_gap else None
        return [self._whole(self.ridge.states(joint, gap)) for joint in self.bench.features]

    def cosine(self, embeddings: Sequence[PromptEmbedding]) -> float:
        truth, ends = self.side.states(self.bench.captions, (LAYER,))
        own = [each.states[end] for each, end in zip(embeddings, ends.tolist(), strict=True) if each.states is not None]
        return float(torch.cosine_similarity(torch.stack(own), truth[0][torch.arange(len(ends)), ends]).mean())

    def _whole(self, states: Tensor) -> PromptEmbedding:
        return PromptEmbedding("micro", states).checked(MICRO_FAMILY)


def measured(skipping: Skipping, seeds: Sequence[int]) -> dict[str, Any]:
    bench = skipping.bench
    bench.negative = skipping.of_texts([""])[0]
    bank = skipping.learned(True)
    ways: Mapping[str, Callable[[], Sequence[PromptEmbedding]]] = {
        "true caption, known words": lambda: skipping.of_texts(bench.known_captions),
        "true caption": lambda: skipping.of_texts(bench.captions),
        "learned map, the gap known": lambda: bank,
        "learned map, as in a webui": lambda: skipping.learned(False),
        "pinv, as of the last layer": lambda: skipping.pinv(0.3, start=False),
        "pinv": lambda: skipping.pinv(0.3),
        "pinv, this layer's length": lambda: skipping.pinv(0.3, norm=True),
        "pinv, moved by the means": lambda: skipping.pinv(0.3, moved=True),
        "pinv, its best cut": lambda: skipping.pinv(0.6),
        "other pictures'": lambda: [*bank[1:], bank[0]],
    }
    hits: dict[str, np.ndarray] = {}
    report: dict[str, Any] = {}
    for name, make in ways.items():
        made = make()
        hits[name] = bench.hits_of(bench.read(made, GUIDANCE, seeds)).mean(axis=1)
        report[name] = {"factors read": _rounded(estimate(hits[name])), "cosine": round(skipping.cosine(made), 3)}
        rival = hits.get("learned map, as in a webui")
        if rival is not None:
            report[name]["over the learned map"] = _rounded(difference(hits[name], rival))
        log.info("%s: %s", name, report[name])
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("runs/clip-skip"))
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    bench = Bench(render("test", options.pictures), {"best": []}, "testing", "micro")
    with torch.inference_mode():
        report = measured(Skipping(bench), range(options.seeds))
    (options.out / "clip-skip.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
